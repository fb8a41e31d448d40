package blob

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 123456789, time.UTC)

// connID returns the id of the n-th connection, one a second.
func connID(n int) flow.ID {
	return flow.NewID(noon.Add(time.Duration(n)*time.Second), uint16(n), uint64(n)*0x9e3779b97f4a7c15)
}

// packetOf returns the i-th packet of connection n. Its bytes tell both.
func packetOf(n, i, size int) *capture.Packet {
	data := append(fmt.Appendf(nil, "packet %d of conn %d ", i, n), bytes.Repeat([]byte{byte(n), byte(i)}, size/2)...)[:size]
	return &capture.Packet{
		Time: noon.Add(time.Duration(i) * time.Millisecond), Link: capture.Ethernet, Length: size + i,
		Data: data, Interface: fmt.Sprintf("eth%d", n%3),
	}
}

// start opens a store and runs it until the returned function is called.
func start(t testing.TB, cfg Config) (p *Packets, stop func()) {
	t.Helper()
	p, err := Open(cfg, testkit.Logger(t, "packet 0 of conn"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return p, stop
}

// collect returns copies of all packets.
func collect(t testing.TB, packets iter.Seq2[capture.Packet, error]) []capture.Packet {
	t.Helper()
	var all []capture.Packet
	for p, err := range packets {
		if err != nil {
			t.Fatal(err)
		}
		p.Data = bytes.Clone(p.Data)
		all = append(all, p)
	}
	return all
}

// check reads connection n and compares it with its first count packets.
func check(t testing.TB, p *Packets, n, count, size int) {
	t.Helper()
	var want []capture.Packet
	for i := range count {
		want = append(want, *packetOf(n, i, size))
	}
	if got := collect(t, p.Read(connID(n))); !reflect.DeepEqual(got, want) { // cmp takes seconds for megabytes
		t.Fatalf("connection %d (-want +got)\n%s", n, cmp.Diff(want, got))
	}
}

func TestPackets(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const conns, each, size = 40, 60, 3000 // 7 MB
	cfg := Config{Dir: t.TempDir(), SegmentBytes: 1 << 20}
	p, stop := start(t, cfg)
	for i := range each {
		for n := range conns {
			p.Patient().Append(connID(n), packetOf(n, i, size))
		}
	}
	stop()
	for n := range conns {
		check(t, p, n, each, size)
	}
	check(t, p, conns, 0, size)
	s := p.Stats()
	if s.Appended != conns*each || s.Written != s.Appended || s.Damaged != 0 || s.Segments < 7 {
		t.Errorf("%+v", s)
	}
	p.Append(connID(0), packetOf(0, 0, size))
	if got := p.Stats().DroppedStopped; got != 1 {
		t.Errorf("%d packets dropped after the end, want 1", got)
	}

	p, stop = start(t, cfg)
	defer stop()
	for n := range conns {
		check(t, p, n, each, size)
	}
	if again := p.Stats(); again.Segments != s.Segments || again.Bytes != s.Bytes {
		t.Errorf("reopened: %+v, before %+v", again, s)
	}
}

// TestFresh reads what was just recorded, from the segment that is being written.
func TestFresh(t *testing.T) {
	p, _ := start(t, Config{Dir: t.TempDir()})
	for i := range 5 {
		p.Append(connID(1), packetOf(1, i, 100))
	}
	deadline := time.Now().Add(50 * flushInterval) // for a busy machine
	for p.Stats().Written < 5 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	check(t, p, 1, 5, 100)
}

// TestConcurrent records from several goroutines while others read.
func TestConcurrent(t *testing.T) {
	const writers, each, size = 4, 500, 900
	p, stop := start(t, Config{Dir: t.TempDir(), SegmentBytes: 1 << 20, BufferBytes: 1})
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for i := range each {
				p.Patient().Append(connID(n), packetOf(n, i, size))
			}
		})
		wg.Go(func() {
			for got := 0; got < each/2; {
				got = 0
				for packet, err := range p.Read(connID(n)) {
					if want := packetOf(n, got, size); err != nil || !bytes.Equal(packet.Data, want.Data) {
						t.Errorf("packet %d of conn %d: %v", got, n, err)
						return
					}
					got++
				}
				p.Stats()
			}
		})
	}
	wg.Wait()
	stop()
	for n := range writers {
		check(t, p, n, each, size)
	}
	if s := p.Stats(); s.Appended != writers*each || s.Written != s.Appended {
		t.Errorf("%+v", s)
	}
}

func TestLongPacketsAreCut(t *testing.T) {
	p, stop := start(t, Config{Dir: t.TempDir()})
	name := strings.Repeat("n", 300)
	p.Append(connID(0), &capture.Packet{Time: noon, Length: 1 << 20, Data: make([]byte, 1<<20), Interface: name})
	stop()
	got := collect(t, p.Read(connID(0)))
	if len(got) != 1 || len(got[0].Data) != capture.MaxPacket || got[0].Length != 1<<20 || got[0].Interface != name[:maxName] {
		t.Errorf("%d packets", len(got))
	}
}

func TestRetention(t *testing.T) {
	const size = 2000
	cfg := Config{Dir: t.TempDir(), MaxBytes: 4 << 20}
	p, stop := start(t, cfg)
	for n := range 5000 { // 10 MB
		p.Patient().Append(connID(n), packetOf(n, 0, size))
		if n%500 == 0 {
			if got := folderSize(t, cfg.Dir); got > cfg.MaxBytes {
				t.Fatalf("%d bytes on disk, more than %d", got, cfg.MaxBytes)
			}
		}
	}
	stop()
	if got := folderSize(t, cfg.Dir); got > cfg.MaxBytes || got < cfg.MaxBytes/2 {
		t.Errorf("%d bytes on disk, limit %d", got, cfg.MaxBytes)
	}
	check(t, p, 0, 0, size)
	check(t, p, 4999, 1, size)

	w := &writer{Packets: p}
	p.cfg.MaxAge = time.Hour
	if err := w.retain(time.Now().Add(30*time.Minute), 0); err != nil {
		t.Error(err)
	}
	if s := p.Stats(); s.Segments == 0 {
		t.Errorf("segments are removed before their time")
	}
	if err := w.retain(time.Now().Add(2*time.Hour), 0); err != nil {
		t.Error(err)
	}
	if s := p.Stats(); s.Segments != 0 || folderSize(t, cfg.Dir) != 0 {
		t.Errorf("too old, but still there: %+v", s)
	}
}

// TestSlowTraffic closes a segment that never gets full, so that it can become old.
func TestSlowTraffic(t *testing.T) {
	p, err := Open(Config{Dir: t.TempDir(), MaxAge: time.Hour}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	w := &writer{Packets: p, spare: make([]byte, 0, p.cfg.BufferBytes/2)}
	p.Append(connID(0), packetOf(0, 0, 100))
	now := time.Now()
	w.flush(now)
	w.flush(now.Add(14 * time.Minute))
	if p.active == nil {
		t.Error("the segment was closed too early")
	}
	w.flush(now.Add(16 * time.Minute))
	if p.active != nil || len(p.closed) != 1 {
		t.Error("the segment is still open")
	}
	check(t, p, 0, 1, 100)
	w.flush(now.Add(2 * time.Hour))
	check(t, p, 0, 0, 100)
}

func folderSize(t testing.TB, dir string) (n int64) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil { // retention may be quicker
			n += info.Size()
		}
	}
	return n
}

// TestBusyDisk appends with nobody writing: the capture goes on, and what is lost is counted.
func TestBusyDisk(t *testing.T) {
	p, err := Open(Config{Dir: t.TempDir(), BufferBytes: 2 << 20}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	packet := packetOf(0, 0, 1400)
	for range 10_000 {
		p.Append(connID(0), packet)
	}
	s := p.Stats()
	if s.DroppedBusy == 0 || s.Appended != 10_000 || s.DroppedBusy+p.waiting != 10_000 {
		t.Errorf("%+v, %d wait", s, p.waiting)
	}
}

// TestFullDisk limits the size of files, so that writes fail for real.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	p, err := Open(Config{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	w := &writer{Packets: p, spare: make([]byte, 0, p.cfg.BufferBytes/2)}
	add := func(from, to int) {
		for i := from; i < to; i++ {
			p.Append(connID(0), packetOf(0, i, 1000))
		}
		w.flush(time.Now())
	}
	add(0, 10)
	limitFiles(t, 50_000, func() {
		add(1000, 1100)
		if p.Health() == nil {
			t.Error("nothing is written, and Health says that all is well")
		}
	})
	add(10, 20)
	if err := p.Health(); err != nil {
		t.Errorf("there is room again, but Health says %v", err)
	}
	if s := p.Stats(); s.Written != 20 || s.DroppedDisk != 100 || s.Appended != 120 {
		t.Errorf("%+v", s)
	}
	check(t, p, 0, 20, 1000)
	w.stop()
	check(t, p, 0, 20, 1000)
}

// limitFiles makes writes beyond n bytes of a file fail while f runs. The Go runtime ignores SIGXFSZ.
func limitFiles(t *testing.T, n uint64, f func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

func TestAppendDoesNotAllocate(t *testing.T) {
	p, _ := start(t, Config{Dir: t.TempDir()})
	packet := packetOf(1, 1, 1400)
	conn := connID(1)
	if n := testing.AllocsPerRun(1000, func() { p.Append(conn, packet) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	p, _ := start(b, Config{Dir: b.TempDir(), MaxBytes: 256 << 20})
	packet := packetOf(1, 1, 1400)
	conn := connID(1)
	w := p.Patient()
	b.SetBytes(1400)
	b.ReportAllocs()
	for b.Loop() {
		w.Append(conn, packet)
	}
}

// BenchmarkRead reads one connection of a hundred packets out of 256 MiB.
func BenchmarkRead(b *testing.B) {
	p, stop := start(b, Config{Dir: b.TempDir()})
	w := p.Patient()
	for i := range 180_000 {
		n := 1 + i%1000
		if i%1800 == 0 {
			n = 0
		}
		w.Append(connID(n), packetOf(n, i, 1400))
	}
	stop()
	for b.Loop() {
		if got := len(collect(b, p.Read(connID(0)))); got != 100 {
			b.Fatalf("%d packets", got)
		}
	}
}
