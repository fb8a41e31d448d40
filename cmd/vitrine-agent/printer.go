package main

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/output"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// printer writes events as they come. Several goroutines use it.
type printer struct {
	host    string
	vantage event.Vantage
	stop    func()

	mu     sync.Mutex
	out    *output.Writer
	dirty  bool
	failed error
}

// newPrinter returns a printer for what this machine sees from the vantage point. Its stop is to be set.
func newPrinter(out *output.Writer, vantage event.Vantage) *printer {
	w := &printer{out: out, vantage: vantage}
	w.host, _ = os.Hostname() // an event without the name of its agent is an event all the same
	return w
}

func (w *printer) origin() event.Origin { return event.Origin{Agent: w.host, Vantage: w.vantage} }

func (w *printer) write(r *event.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty = true
	if w.failed == nil {
		w.fail(w.out.Write(r))
	}
}

// fail notes an error of the output, which ends everything: nobody is there to read. Valid iff mu is held.
func (w *printer) fail(err error) {
	if err != nil && w.failed == nil {
		w.failed = err
		w.stop()
	}
}

// coverage writes a change of coverage as an event.
func (w *printer) coverage(c *probe.Coverage) {
	now := time.Now()
	e := event.Event{ID: flow.NewID(now, uint16(c.Process.PID), uint64(now.UnixNano())), Time: now, Origin: w.origin(), Body: &c.Coverage, Process: c.Process, Container: c.Container}
	w.write(e.Record())
}

// flushTime is how long people wait for a line.
const flushTime = 100 * time.Millisecond

// flush hands on what is buffered, until ctx is done.
func (w *printer) flush(ctx context.Context) error {
	t := time.NewTicker(flushTime)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			w.handOn()
		}
	}
}

// drain writes events until there will be no more, and hands them on.
func (w *printer) drain(events <-chan *event.Record) {
	t := time.NewTicker(flushTime)
	defer t.Stop()
	for {
		select {
		case r, more := <-events:
			if !more {
				return
			}
			w.write(r)
		case <-t.C:
			w.handOn()
		}
	}
}

func (w *printer) handOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dirty && w.failed == nil {
		w.dirty = false
		w.fail(w.out.Flush())
	}
}

func (w *printer) end() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = w.out.Flush()
	}
	return w.failed
}
