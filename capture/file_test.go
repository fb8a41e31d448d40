package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func TestPcap(t *testing.T) {
	packets := []Packet{
		{Time: noon, Link: RawIP, Length: 60, Data: bytesOf(1, 60)},
		{Time: noon.Add(time.Second), Link: RawIP, Length: 9000, Data: bytesOf(2, 96)},
		{Time: noon.Add(2 * time.Second), Link: RawIP, Length: 0, Data: []byte{}},
	}
	micros := make([]Packet, len(packets))
	for i, p := range packets {
		micros[i] = p
		micros[i].Time = p.Time.Truncate(time.Microsecond)
	}
	for _, tc := range []struct {
		name  string
		order order
		magic uint32
		want  []Packet
	}{
		{"little endian, microseconds", binary.LittleEndian, pcapMicros, micros},
		{"little endian, nanoseconds", binary.LittleEndian, pcapNanos, packets},
		{"big endian, microseconds", binary.BigEndian, pcapMicros, micros},
		{"big endian, nanoseconds", binary.BigEndian, pcapNanos, packets},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := pcapFile(tc.order, tc.magic, RawIP, packets...)
			for name, b := range map[string][]byte{"plain": file, "gzip": gzipped(t, file), "zstd": zstded(t, file)} {
				got, err := read(t, iotest.OneByteReader(bytes.NewReader(b)), FileOptions{})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", name, diff)
				}
			}
		})
	}
}

func TestPcapng(t *testing.T) {
	for _, o := range []order{binary.LittleEndian, binary.BigEndian} {
		t.Run(fmt.Sprint(o), func(t *testing.T) {
			micros, nanos := uint64(noon.UnixMicro()), uint64(noon.UnixNano())
			f := &ngFile{order: o}
			f.section().secret(TLSKeyLog, "early")
			f.iface(Ethernet, 0, "eth0", 0, 0).iface(RawIP, 0, "tun0", 9, 0)
			f.packet(0, micros, 100, bytesOf(1, 61))
			f.block(0xbad, bytesOf(0, 33))
			f.packet(1, nanos, 40, bytesOf(2, 40))
			f.secret(TLSKeyLog, "late, after packets")
			f.oldPacket(1, nanos+1, 40, bytesOf(3, 40))
			f.simple(30, bytesOf(4, 30))
			f.section().iface(LinuxCooked, 20, "", 0x80|20, 3600)
			f.packet(0, uint64(noon.Unix())<<20|1<<19, 20, bytesOf(5, 20))
			f.simple(77, bytesOf(6, 20))

			var secrets []string
			got, err := read(t, iotest.HalfReader(bytes.NewReader(f.b)), FileOptions{Secrets: func(kind uint32, b []byte) {
				secrets = append(secrets, fmt.Sprintf("%x %s", kind, b))
			}})
			if err != nil {
				t.Fatal(err)
			}
			shifted := noon.Truncate(time.Second).Add(time.Hour + time.Second/2)
			want := []Packet{
				{Time: noon.Truncate(time.Microsecond), Link: Ethernet, Length: 100, Data: bytesOf(1, 61), Interface: "eth0"},
				{Time: noon, Link: RawIP, Length: 40, Data: bytesOf(2, 40), Interface: "tun0"},
				{Time: noon.Add(1), Link: RawIP, Length: 40, Data: bytesOf(3, 40), Interface: "tun0"},
				{Time: noon.Add(1), Link: Ethernet, Length: 30, Data: bytesOf(4, 30), Interface: "eth0"},
				{Time: shifted, Link: LinuxCooked, Length: 20, Data: bytesOf(5, 20)},
				{Time: shifted, Link: LinuxCooked, Length: 77, Data: bytesOf(6, 20)},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("packets (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff([]string{"544c534b early", "544c534b late, after packets"}, secrets); diff != "" {
				t.Errorf("secrets (-want +got)\n%s", diff)
			}
		})
	}
}

func TestHostileName(t *testing.T) {
	name := strings.Repeat("x", 250) + "\xff\xfe and more"
	f := (&ngFile{order: binary.LittleEndian}).section().iface(Ethernet, 0, name, 0, 0).packet(0, 1, 4, bytesOf(1, 4))
	got, err := readBytes(t, f.b, nil)
	if err != nil || len(got) != 1 {
		t.Fatalf("%d packets, %v", len(got), err)
	}
	if want := name[:250] + "? an"; got[0].Interface != want {
		t.Errorf("got %q, want %q", got[0].Interface, want)
	}
}

func TestOpenFile(t *testing.T) {
	if _, err := OpenFile(filepath.Join(t.TempDir(), "none"), FileOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	b := pcapFile(binary.LittleEndian, pcapNanos, 1, Packet{Time: noon, Length: 90, Data: bytesOf(1, 90)})
	path := filepath.Join(t.TempDir(), "a.pcap")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path, FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := drain(f); err != nil || len(got) != 1 {
		t.Errorf("%d packets, %v", len(got), err)
	}
	if done, total := f.Progress(); done != int64(len(b)) || total != done {
		t.Errorf("progress %d of %d, want %d", done, total, len(b))
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Read(new(Packet)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
}

// endless repeats one stretch of bytes after a head, so that any length can be read without memory.
type endless struct {
	head, body []byte
	at         int
	left       int64
}

func (e *endless) Read(b []byte) (int, error) {
	if len(e.head) > 0 {
		n := copy(b, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	if e.left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(int64(len(b)), e.left)], e.body[e.at:])
	e.at = (e.at + n) % len(e.body)
	e.left -= int64(n)
	return n, nil
}

// repeats is how many packets the body of an endless file has.
const repeats = 256

// long returns a pcap and a pcapng file of n equal packets of 1400 bytes.
func long(n int) map[string]*endless {
	p := Packet{Time: noon, Length: 1400, Data: bytesOf(1, 1400)}
	head := pcapFile(binary.LittleEndian, pcapNanos, 1)
	body := pcapFile(binary.LittleEndian, pcapNanos, 1, p)[len(head):]
	ng := &ngFile{order: binary.LittleEndian}
	ng.section().iface(Ethernet, 0, "eth0", 9, 0)
	ngHead := len(ng.b)
	ng.packet(0, uint64(noon.UnixNano()), 1400, p.Data)
	return map[string]*endless{
		"pcap":   {head: head, body: bytes.Repeat(body, repeats), left: int64(n * len(body))},
		"pcapng": {head: ng.b[:ngHead], body: bytes.Repeat(ng.b[ngHead:], repeats), left: int64(n * (len(ng.b) - ngHead))},
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	for name, in := range long(1 << 20) {
		f, err := NewReader(name, in, FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var p Packet
		if n := testing.AllocsPerRun(10000, func() {
			if err := f.Read(&p); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per packet", name, n)
		}
	}
}

func TestLinear(t *testing.T) {
	for name := range long(0) {
		testkit.Linear(t, 20000, func(n int) {
			if got := count(t, long(n)[name]); got != n {
				t.Fatalf("%d packets, want %d", got, n)
			}
		})
	}
}

func count(t testing.TB, in io.Reader) int {
	f, err := NewReader("test", in, FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var p Packet
	for n := 0; ; n++ {
		if err := f.Read(&p); err == io.EOF {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestConstantMemory reads much more than may be allocated on the way.
func TestConstantMemory(t *testing.T) {
	const packets, limit = 400 * repeats, 32 << 20 // 140 MB
	for format := range long(0) {
		for name, compress := range map[string]func(testing.TB, []byte) []byte{
			"plain": func(_ testing.TB, b []byte) []byte { return b }, "gzip": gzipped, "zstd": zstded,
		} {
			t.Run(format+" "+name, func(t *testing.T) {
				// What is compressed in pieces may be put together.
				in := long(packets)[format]
				in.head, in.body = compress(t, in.head), compress(t, in.body)
				in.left = int64(len(in.body)) * packets / repeats
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				if got := count(t, in); got != packets {
					t.Errorf("%d packets, want %d", got, packets)
				}
				runtime.ReadMemStats(&after)
				if n := after.TotalAlloc - before.TotalAlloc; n > limit {
					t.Errorf("%d bytes allocated for 140 MB of packets", n)
				}
			})
		}
	}
}

func BenchmarkFile(b *testing.B) {
	for name, in := range long(100_000) {
		file, err := io.ReadAll(in)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			for b.Loop() {
				count(b, bytes.NewReader(file))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/packet")
		})
	}
}
