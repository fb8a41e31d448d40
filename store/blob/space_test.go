package blob

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// When others fill the disk, the oldest packets go first; then none are recorded, and Health says why, until there is space again.
func TestPacketsGiveWay(t *testing.T) {
	const minFree, segment = 8 << 20, 1 << 20
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p, err := Open(Config{Dir: filepath.Join(dir, "packets"), MinFree: minFree, SegmentBytes: segment}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	w := &writer{Packets: p, spare: make([]byte, 0, p.cfg.BufferBytes/2)}
	next := 0
	add := func(packets int) {
		for range packets {
			p.Append(connID(next), packetOf(next, 0, 10_000))
			next++
		}
		w.flush(time.Now())
	}
	free := func() int64 {
		var s unix.Statfs_t
		if err := unix.Statfs(dir, &s); err != nil {
			t.Fatal(err)
		}
		return int64(s.Bavail) * int64(s.Bsize)
	}

	for range 40 { // 40 MB, more than the disk has
		add(100)
		if got := free(); got < minFree-segment {
			t.Fatalf("only %d bytes are left free", got)
		}
	}
	if err := p.Health(); err != nil {
		t.Errorf("there are old packets to remove, but Health says %v", err)
	}
	check(t, p, 0, 0, 10_000)
	check(t, p, next-1, 1, 10_000)

	others, err := os.Create(filepath.Join(dir, "others"))
	if err != nil {
		t.Fatal(err)
	}
	defer others.Close()
	fill := func() {
		if _, err := others.Write(make([]byte, free())); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	add(10)
	if got := free(); got < minFree {
		t.Errorf("the disk was filled by others, and only %d bytes were made free", got)
	}
	for len(p.closed) > 0 {
		fill()
		add(1)
	}
	fill()
	before := p.Stats()
	add(10)
	if err := p.Health(); !errors.Is(err, errShort) {
		t.Errorf("no packet finds space, and Health says %v", err)
	}
	if s := p.Stats(); s.DroppedDisk != before.DroppedDisk+10 || s.Written != before.Written {
		t.Errorf("before %+v, after %+v", before, s)
	}
	if err := os.Truncate(others.Name(), 0); err != nil {
		t.Fatal(err)
	}
	add(10)
	if err := p.Health(); err != nil {
		t.Errorf("there is space again, but Health says %v", err)
	}
	check(t, p, next-1, 1, 10_000)
}
