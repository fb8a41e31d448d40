package gobinary

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// hit is what a probe sees: where it is, and the registers there.
type hit struct {
	Place         uint64
	AX, BX, CX, G uint64
	Flags         uint64
	Buffer        [16]byte // at BX
}

// The places of probes.
const (
	atRead = iota
	atWrite
	atCopy
)

// grows tells whether the branch at Enter is taken: the stack grows, and the function begins anew.
func (h hit) grows() bool {
	const carry, zero = 1 << 0, 1 << 6
	return h.Flags&(carry|zero) != 0
}

// TestLive runs programs of each release with probes at all places, and follows each byte through them.
func TestLive(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		testkit.Skip(t, "the probes of this test read the registers of amd64")
	}
	payload := bytes.Repeat([]byte("GET /what/the/program/said HTTP/1.1\n"), 5000)
	for _, b := range builds() {
		if b.name != "static" && b.name != "external pie" { // where the offsets come from makes no difference here
			continue
		}
		t.Run(b.version+" "+b.name, func(t *testing.T) {
			t.Parallel()
			stripped, _ := b.make(t)
			hits := watch(t, stripped, func() {
				program := exec.Command(stripped)
				program.Stdin = bytes.NewReader(payload)
				if out, err := program.Output(); err != nil || !bytes.Equal(out, payload) {
					t.Errorf("under the probe the program answers %d bytes, %v; want %d", len(out), err, len(payload))
				}
			})
			checkHits(t, hits, payload)
		})
	}
}

// checkHits adds up what was written and read: by the client and by the server, which sends all of it back.
func checkHits(t *testing.T, hits []hit, payload []byte) {
	t.Helper()
	var written, read uint64
	firstWrite, firstCopy, grown := true, true, 0
	reads := map[uint64]bool{} // goroutines that are in Read
	for _, h := range hits {
		if h.Place != atCopy && h.grows() {
			grown++
			continue
		}
		switch h.Place {
		case atRead:
			reads[h.G] = true
		case atWrite:
			written += h.CX
			if firstWrite && !bytes.Equal(h.Buffer[:], payload[:len(h.Buffer)]) {
				t.Errorf("the first write has %q", h.Buffer)
			}
			firstWrite = false
		case atCopy:
			if !reads[h.G] {
				t.Fatalf("goroutine %#x copies what it does not read", h.G)
			}
			if firstCopy && h.Buffer[0] != payload[0] {
				t.Errorf("the first copy has %q", h.Buffer)
			}
			firstCopy = false
			reads[h.G], read = false, read+h.CX
		}
	}
	if want := 2 * uint64(len(payload)); written != want || read != want {
		t.Errorf("%d bytes written, %d read; want %d each; %d hits", written, read, want, len(hits))
	}
	if grown == 0 {
		t.Error("no stack grew")
	}
}

// watch puts probes into a file, runs, and returns what they saw, in order.
func watch(t *testing.T, path string, run func()) (hits []hit) {
	t.Helper()
	events, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << 20})
	supported(t, err)
	t.Cleanup(func() { events.Close() })
	file, err := link.OpenExecutable(path)
	supported(t, err)
	var links []link.Link
	attach := func(place int32, offset uint64) {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.Kprobe, License: "GPL", Instructions: report(events, place)})
		supported(t, err)
		t.Cleanup(func() { program.Close() })
		l, err := file.Uprobe("", program, &link.UprobeOptions{Address: offset})
		supported(t, err)
		links = append(links, l)
	}
	for _, f := range find(t, path).Functions {
		switch f.Name {
		case Read:
			attach(atRead, f.Enter)
			attach(atCopy, f.Copy)
		case Write:
			attach(atWrite, f.Enter)
		}
	}
	run()
	var closing sync.WaitGroup // each waits for the kernel
	for _, l := range links {
		closing.Go(func() { l.Close() })
	}
	closing.Wait()
	return drain(t, events)
}

// supported skips the test where the kernel has no such thing.
func supported(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ebpf.ErrNotSupported) {
		testkit.Skip(t, "%v", err)
	}
	testkit.SkipIfNotSupported(t, err)
	if err != nil {
		t.Fatal(err)
	}
}

func drain(t *testing.T, events *ebpf.Map) (hits []hit) {
	t.Helper()
	reader, err := ringbuf.NewReader(events)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	reader.SetDeadline(time.Now())
	for {
		record, err := reader.Read()
		if err != nil {
			return hits
		}
		var h hit
		if _, err := binary.Decode(record.RawSample, binary.NativeEndian, &h); err != nil {
			t.Fatal(err)
		}
		hits = append(hits, h)
	}
}

// report is a BPF program that sends a hit.
func report(events *ebpf.Map, place int32) asm.Instructions {
	size := int64(binary.Size(hit{}))
	field := func(i int64) int16 { return int16(8*i - size) } // from the frame's end
	program := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.Mov.Imm(asm.R0, place),
		asm.StoreMem(asm.RFP, field(0), asm.R0, asm.DWord),
	}
	// Offsets of AX, BX, CX, R14 and the flags in struct pt_regs (arch/x86/include/asm/ptrace.h).
	for i, register := range []int16{80, 40, 88, 8, 144} {
		program = append(program, asm.LoadMem(asm.R0, asm.R6, register, asm.DWord), asm.StoreMem(asm.RFP, field(int64(i)+1), asm.R0, asm.DWord))
	}
	return append(program,
		asm.Mov.Reg(asm.R1, asm.RFP),
		asm.Add.Imm(asm.R1, -int32(len(hit{}.Buffer))),
		asm.Mov.Imm(asm.R2, int32(len(hit{}.Buffer))),
		asm.LoadMem(asm.R3, asm.R6, 40, asm.DWord),
		asm.FnProbeReadUser.Call(),
		asm.LoadMapPtr(asm.R1, events.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -int32(size)),
		asm.Mov.Imm(asm.R3, int32(size)),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	)
}
