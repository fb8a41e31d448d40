package blob

import (
	"log/slog"
	"os"
	"testing"

	"github.com/vitrine-ndr/vitrine/capture"
)

// FuzzSegment opens a folder with a hostile segment. Whatever is in it, what is read is within the bounds, and the
// folder can be used.
func FuzzSegment(f *testing.F) {
	b, err := os.ReadFile(closedSegment(f, f.TempDir(), 24))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)-trailerSize])
	f.Add(b[:300])
	f.Add(appendTrailer([]byte(segmentMagic), trailer{uint32(len(segmentMagic)), 0, 0}))
	short := record(appendRecord(nil, connID(1), packetOf(1, 1, 20)))
	short.seal()
	f.Add(append([]byte(segmentMagic), short...))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := segmentPath(dir, 1)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := Open(Config{Dir: dir, BufferBytes: 1}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for _, s := range p.closed {
			read := 0
			for _, id := range []int{0, 1, 2} {
				for packet := range p.Read(connID(id)) {
					if len(packet.Data) > capture.MaxPacket+maxName || len(packet.Data) > len(b) {
						t.Fatalf("packet of %d bytes", len(packet.Data))
					}
					read++
				}
			}
			// A count may be a lie, but the offsets are in the file.
			if read > 3*len(b)/offsetSize {
				t.Fatalf("%d packets in %d bytes of %s", read, len(b), s.path)
			}
		}
		os.Remove(path)
	})
}
