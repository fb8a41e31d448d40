package decrypt

import (
	"bytes"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func testRecord(n int) []byte {
	return append([]byte{23, 3, 3, byte(n >> 8), byte(n)}, bytes.Repeat([]byte{0xaa}, n)...)
}

// split feeds pieces and returns the lengths of the records that come out.
func split(t *testing.T, sp *splitter, pool *buffers, b []byte, size int) (lengths []int) {
	t.Helper()
	for len(b) > 0 {
		piece := b[:min(size, len(b))]
		b = b[len(piece):]
		for len(piece) > 0 {
			rec, n, err := sp.next(piece, pool)
			if err != nil {
				t.Fatal(err)
			}
			if rec != nil {
				lengths = append(lengths, len(rec))
				sp.release(pool)
			}
			piece = piece[n:]
		}
	}
	return lengths
}

func TestSplitterFindsTheNextRecord(t *testing.T) {
	stream := bytes.Join([][]byte{testRecord(100), testRecord(2000), testRecord(0), testRecord(300), testRecord(40)}, nil)
	for lost := 1; lost < len(stream)-1; lost += 7 {
		for _, size := range []int{1, 3, 64, len(stream)} {
			for _, n := range []int{1, 10, 150, 2500} {
				end := min(lost+n, len(stream))
				var sp splitter
				pool := &buffers{}
				split(t, &sp, pool, stream[:lost], size)
				sp.gap(time.Time{}, end-lost, pool)
				got := split(t, &sp, pool, stream[end:], size)
				sp.finish(time.Time{}, pool)
				if end <= 105+2005+5+305 && (len(got) == 0 || got[len(got)-1] != 45) {
					t.Fatalf("%d bytes lost at %d, in pieces of %d: got records %v", end-lost, lost, size, got)
				}
				if pool.lent != 0 {
					t.Fatalf("%d buffers are not given back", pool.lent)
				}
			}
		}
	}
}

func TestSplitterWithoutRoom(t *testing.T) {
	pool := &buffers{lent: maxLent}
	var sp splitter
	if got := split(t, &sp, pool, testRecord(5000), 1000); len(got) != 0 || !sp.starved || sp.hole.wire != 5005 {
		t.Errorf("got records %v, %+v", got, sp.hole)
	}
	if got := split(t, &sp, pool, testRecord(50), 1000); len(got) != 1 {
		t.Errorf("a record that needs no room: got %v", got)
	}
}

func TestSplitterIsLinear(t *testing.T) {
	noise := bytes.Repeat([]byte{23, 3, 3, 0xff, 0xff, 22, 3, 3}, 1<<19)
	testkit.Linear(t, len(noise)/2, func(size int) {
		var sp splitter
		pool := &buffers{}
		sp.gap(time.Time{}, 1000, pool)
		for b := noise[:size]; len(b) > 0; {
			rec, n, _ := sp.next(b[:min(1400, len(b))], pool)
			if rec != nil {
				sp.release(pool)
			}
			b = b[n:]
		}
	})
}

func TestMissedBoundsTheNumbers(t *testing.T) {
	var m missed
	m.add(hole{wire: 105, records: 1}, 22)
	m.add(hole{wire: 40_000, unknown: 40_000}, 22)
	m.drop(time.Time{}, testRecord(10), true)
	if m.lo != 1+40_000/handshake.MaxRecord+1 || m.hi != 1+40_000/22+1+1 || m.wire != 105+40_000+15 {
		t.Errorf("got %+v", m)
	}
}
