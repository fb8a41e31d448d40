package blob

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func TestSecondProcessIsKeptOut(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	_, stop := start(t, cfg)
	if _, err := Open(cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("the folder was opened twice")
	}
	stop()
	start(t, cfg)
}

// TestKilled lets another process record and kills it. What it had reported as written must be there.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("VITRINE_TEST_RECORD"); dir != "" {
		recordForever(t, dir)
	}
	for round := range 3 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "VITRINE_TEST_RECORD="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		written := 0
		for in := bufio.NewScanner(out); written < 2000+1000*round && in.Scan(); {
			fmt.Sscanf(in.Text(), "written %d", &written)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed: that is its error
		if written == 0 {
			t.Fatal("nothing was written")
		}
		p, _ := start(t, Config{Dir: dir})
		got := collect(t, p.Read(connID(7)))
		if len(got) < written || p.Stats().Damaged != 0 {
			t.Fatalf("%d packets, %d were written; %+v", len(got), written, p.Stats())
		}
		check(t, p, 7, len(got), 1200)
	}
}

func recordForever(t *testing.T, dir string) {
	p, _ := start(t, Config{Dir: dir, SegmentBytes: 1 << 20})
	for i := 0; ; i++ {
		p.Patient().Append(connID(7), packetOf(7, i, 1200))
		if i%100 == 0 {
			fmt.Printf("written %d\n", p.Stats().Written)
		}
	}
}

// closedSegment returns the path of one segment of 3 connections with 10 packets each.
func closedSegment(t testing.TB, dir string, size int) string {
	t.Helper()
	p, stop := start(t, Config{Dir: dir})
	for i := range 10 {
		for n := range 3 {
			p.Append(connID(n), packetOf(n, i, size))
		}
	}
	stop()
	return p.closed[0].path
}

// TestTornTail cuts a segment at every length: all packets that are whole come back.
func TestTornTail(t *testing.T) {
	whole, err := os.ReadFile(closedSegment(t, t.TempDir(), 500))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for cut := 0; cut < len(whole); cut += 97 {
		path := segmentPath(dir, 1)
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Open(Config{Dir: dir}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		packets := min(30, max(0, cut-len(segmentMagic))/(recordHeader+4+500))
		for n := range 3 {
			check(t, p, n, (packets+2-n)/3, 500)
		}
		if s := p.Stats(); s.Damaged != 0 {
			t.Fatalf("cut at %d: %+v", cut, s)
		}
		p.Close()
		os.Remove(path)
	}
}

func TestDamagedSegments(t *testing.T) {
	damage := func(name string, change func(b []byte) []byte, lost int, damaged uint64) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := closedSegment(t, dir, 500)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(b), 0o600); err != nil {
				t.Fatal(err)
			}
			p, stop := start(t, Config{Dir: dir})
			got := 0
			for n := range 3 {
				for _, err := range p.Read(connID(n)) {
					if err == nil {
						got++
					}
				}
			}
			if s := p.Stats(); got != 30-lost || s.Damaged != damaged {
				t.Errorf("%d packets, %+v", got, s)
			}
			// Whatever happened to the old segment, recording goes on.
			p.Append(connID(9), packetOf(9, 0, 500))
			stop()
			check(t, p, 9, 1, 500)
		})
	}
	const rec = recordHeader + 4 + 500
	flip := func(at int) func(b []byte) []byte {
		return func(b []byte) []byte {
			if at < 0 {
				at += len(b)
			}
			b[at] ^= 0x40
			return b
		}
	}
	damage("a byte of a packet", flip(len(segmentMagic)+7*rec+300), 1, 1)
	damage("a length", flip(len(segmentMagic)+7*rec+6), 1, 1)
	damage("the trailer", flip(-5), 0, 0)
	damage("the first row of the index", flip(-trailerSize-30*offsetSize-3*rowSize+15), 0, 0)
	damage("a row within the index", flip(-trailerSize-30*offsetSize-2*rowSize+15), 30, 3)
	damage("an offset in the index", flip(-trailerSize-1), 1, 1)
	damage("another file", func([]byte) []byte { return []byte("something else that has the same name") }, 30, 1)
}

// TestLinear recovers segments and reads them: a segment that is twice as long takes twice as long.
func TestLinear(t *testing.T) {
	const most = 8000
	records := []byte(segmentMagic)
	var ends []int
	for i := range 2 * most {
		start := len(records)
		records = appendRecord(records, connID(i%100), packetOf(0, i%100, 200))
		record(records[start:]).seal()
		ends = append(ends, len(records))
	}
	dir := t.TempDir()
	testkit.Linear(t, most, func(n int) {
		path := segmentPath(dir, 1)
		if err := os.WriteFile(path, records[:ends[n-1]], 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Open(Config{Dir: dir, BufferBytes: 1}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		for i := range 100 {
			for range p.Read(connID(i)) {
				read++
			}
		}
		if read != n {
			t.Fatalf("%d packets, want %d", read, n)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
