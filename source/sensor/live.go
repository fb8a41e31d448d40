package sensor

import (
	"context"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
)

// counter is an input that knows how many packets the kernel gave it and how many it lost: a *capture.Live.
type counter interface{ Stats() capture.LiveStats }

var _ counter = (*capture.Live)(nil)

// counters sums what inputs count, over those that were closed too.
type counters struct {
	open   map[string]counter
	closed capture.LiveStats
}

func (c *counters) opened(name string, r capture.Reader) {
	if live, ok := r.(counter); ok {
		c.open[name] = live
	}
}

func (c *counters) left(name string) {
	if live, ok := c.open[name]; ok {
		c.closed = sum(c.closed, live.Stats())
		delete(c.open, name)
	}
}

func (c *counters) total() capture.LiveStats {
	t := c.closed
	for _, live := range c.open {
		t = sum(t, live.Stats())
	}
	return t
}

func sum(a, b capture.LiveStats) capture.LiveStats {
	return capture.LiveStats{Received: a.Received + b.Received, Dropped: a.Dropped + b.Dropped}
}

// live reads all inputs at once until ctx is done.
func (s *Sensor) live(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, in := range s.cfg.Inputs {
		wg.Go(func() { s.follow(ctx, in) })
	}
	wg.Go(func() { s.tick(ctx) })
	wg.Wait()
	return nil
}

// follow reads an interface, and opens it anew when it fails: interfaces go down, vanish and come back.
func (s *Sensor) follow(ctx context.Context, in Input) {
	healthy := true
	for ctx.Err() == nil {
		err := s.read(ctx, in)
		if ctx.Err() != nil {
			return
		}
		s.failed.Add(1)
		if healthy {
			s.log.Warn("capture interrupted, will be tried again", "interface", in.Name, "error", err, "every", reopenEvery)
		}
		healthy = false
		select {
		case <-ctx.Done():
		case <-time.After(reopenEvery):
		}
	}
}

// tick moves time on where no packet does: what waits is delivered or given up in time, silent connections end.
func (s *Sensor) tick(ctx context.Context) {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			s.mu.Lock()
			s.assembler.Advance(now)
			s.expire(now)
			s.tryKeys()
			s.mu.Unlock()
		}
	}
}
