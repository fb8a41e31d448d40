package sensor

import (
	"context"
	"sync"
	"time"
)

// Counter is an input that knows how many packets the kernel gave it and how many it lost.
type Counter interface {
	Stats() (received, dropped uint64)
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
	t := time.NewTicker(retryEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			s.mu.Lock()
			s.assembler.Advance(now)
			s.retry(now)
			s.mu.Unlock()
		}
	}
}
