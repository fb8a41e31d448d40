package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// writer is the one goroutine that writes segments. It alone changes Packets.closed and Packets.active.
type writer struct {
	*Packets
	spare []byte // takes turns with Packets.fill
}

// flush writes what waits. now is the clock.
func (w *writer) flush(now time.Time) {
	w.mu.Lock()
	records, n := w.fill, w.waiting
	w.fill, w.waiting = w.spare[:0], 0
	w.room.Broadcast()
	w.mu.Unlock()
	w.spare = records

	err := w.retain(now, 0)
	switch {
	case len(records) == 0:
	case err != nil:
		w.report(err, n)
	default:
		lost, err := w.writeAll(records, n, now)
		w.report(err, lost)
	}
	if a := w.active; a != nil && now.Sub(a.begun) > w.cfg.openFor() {
		w.report(w.rotate(), 0)
	}
}

// writeAll writes n records. It returns how many of them were lost by the error.
func (w *writer) writeAll(records []byte, n uint64, now time.Time) (lost uint64, err error) {
	for len(records) > 0 && err == nil {
		var written int
		var packets uint64
		written, packets, err = w.write(records, now)
		records = records[written:]
		n -= packets
		w.mu.Lock()
		w.stats.Written += packets
		w.mu.Unlock()
	}
	return n, err
}

// write writes as many records as fit into the active segment, which it opens and closes as it must.
func (w *writer) write(records []byte, now time.Time) (n int, packets uint64, err error) {
	if w.active == nil {
		if err := w.retain(now, w.cfg.SegmentBytes); err != nil {
			return 0, 0, err
		}
		a, err := newActive(segmentPath(w.cfg.Dir, w.next), now)
		if err != nil {
			return 0, 0, err
		}
		w.files.Lock()
		w.active, w.next = a, w.next+1
		w.files.Unlock()
	}
	room := w.cfg.SegmentBytes - w.active.size - w.active.index.size()
	for n < len(records) {
		r := record(records[n:])
		size := r.size()
		// The record may be the first of its connection, which makes its row in the index. A segment holds at least one.
		room -= int64(size + rowSize + offsetSize)
		if room < 0 && n+int(w.active.size) > len(segmentMagic) {
			break
		}
		r[:size].seal()
		n += size
		packets++
	}
	if n == 0 {
		return 0, 0, w.rotate()
	}
	if err := w.active.write(records[:n]); err != nil {
		return 0, 0, err
	}
	w.files.Lock()
	w.active.note(records[:n])
	w.files.Unlock()
	return n, packets, nil
}

// rotate closes the active segment.
func (w *writer) rotate() error {
	s, err := w.active.close()
	if s == nil {
		return err
	}
	w.files.Lock()
	w.closed, w.active = append(w.closed, s), nil
	w.files.Unlock()
	if err != nil {
		w.damage(err)
	}
	return nil
}

// report keeps what is wrong now for Health, counts the packets that are lost by it, and logs the change.
func (w *writer) report(err error, lost uint64) {
	if lost > 0 {
		w.mu.Lock()
		w.stats.DroppedDisk += lost
		w.mu.Unlock()
	}
	if err == nil && w.health == nil {
		return
	}
	w.files.Lock()
	before := w.health
	w.health = err
	w.files.Unlock()
	switch {
	case err != nil && before == nil:
		w.log.Error("packets are not recorded", "error", err)
	case err == nil && before != nil:
		w.log.Info("packets are recorded again")
	}
}

// errShort says that packets would take the space that is left for others.
var errShort = errors.New("disk space is short: packets give way to events")

// retain removes the oldest segments until more bytes have room, none is too old, and the disk has as much free space as packets
// must leave. Where all of them together do not make that space, no packet may be written.
func (w *writer) retain(now time.Time, more int64) error {
	short, err := w.cfg.shortage()
	if err != nil {
		return err
	}
	w.files.Lock()
	defer w.files.Unlock()
	total := w.bytes() + more
	for len(w.closed) > 0 {
		s := w.closed[0]
		old := w.cfg.MaxAge > 0 && now.Sub(s.closed) > w.cfg.MaxAge
		if total <= w.cfg.MaxBytes && short <= 0 && !old {
			return nil
		}
		if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove old packets: %w", err)
		}
		total -= s.size
		short -= s.size
		w.closed = w.closed[1:]
	}
	if short > 0 {
		return errShort
	}
	return nil
}

// stop writes what waits and closes the segment. What is appended from now on is dropped.
func (w *writer) stop() {
	w.mu.Lock()
	w.stopped = true
	w.room.Broadcast()
	w.mu.Unlock()
	w.flush(time.Now())
	if w.active != nil {
		w.report(w.rotate(), 0)
	}
}
