package main

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/queue"
)

// maxUnwritten is how many events may wait for whoever reads the output.
const maxUnwritten = 8192

// endTime is how long the rest of them may take at the end.
const endTime = 2 * time.Second

// spill writes events in a goroutine of its own: what stands in the way of connections must not wait for whoever reads the output. Of too
// many events at once, some are lost, and counted.
type spill struct {
	events  *queue.Queue[*event.Record]
	lost    atomic.Uint64
	written chan struct{} // closed once all are
}

func newSpill(w *printer) *spill {
	s := &spill{events: queue.New[*event.Record](maxUnwritten), written: make(chan struct{})}
	go func() {
		defer close(s.written)
		w.drain(s.events.Items())
	}()
	return s
}

func (s *spill) emit(e *event.Event) {
	if !s.events.Offer(e.Record()) {
		s.lost.Add(1)
	}
}

// end waits for what is still to be written, but not for ever.
func (s *spill) end(w *printer, log *slog.Logger) (err error) {
	s.events.Close()
	select {
	case <-s.written:
		err = w.end()
	case <-time.After(endTime):
		err = errors.New("write events: nobody reads the output")
	}
	if n := s.lost.Load(); n > 0 {
		log.Warn("events were lost: the output was not read fast enough", "component", "gateway", "events", n)
	}
	return err
}
