package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	alarmAfter   = 3 * time.Second  // publishing may fail for so long before a person must know
	restartAfter = 12 * time.Second // and for so long before the embedded server's storage is started anew: a slow disk is no fault
	restartEvery = 15 * time.Second // pause between two such starts
)

// health knows since when publishing has failed.
type health struct {
	mu        sync.Mutex
	since     time.Time // when the first attempt began that failed; zero while it works
	err       error     // the last one
	restarted time.Time // when the embedded server was last started anew
}

// note keeps the outcome of an attempt to publish.
func (h *health) note(err error, began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	switch {
	case err == nil:
		h.since = time.Time{}
	case h.since.IsZero():
		h.since = began
	}
}

// overdue tells whether the embedded server's storage must be started anew, and takes it that the caller does so.
func (h *health) overdue(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() || now.Sub(h.since) < restartAfter || now.Sub(h.restarted) < restartEvery {
		return false
	}
	h.restarted = now
	return true
}

// Health returns nil, or since when nothing could be published and why, once that has been so for some seconds.
func (b *Bus) Health() (since time.Time, err error) {
	h := &b.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() || time.Since(h.since) < alarmAfter {
		return time.Time{}, nil
	}
	if b.server != nil {
		if reason := b.server.logs.lastError(h.since); reason != "" {
			return h.since, fmt.Errorf("%w: %s", h.err, reason)
		}
	}
	return h.since, h.err
}

// revive starts the embedded server's storage anew where publishing has failed for long: after one failed write it takes no other
// one until it has read back what is on the disk.
func (b *Bus) revive(ctx context.Context) {
	if b.server == nil || !b.health.overdue(time.Now()) {
		return
	}
	b.log.Warn("the bus takes no events: starting its storage anew")
	if err := b.server.restart(); err != nil {
		b.log.Error("start the storage of the bus", "err", err)
		return
	}
	if err := b.makeStream(ctx); err != nil {
		b.log.Error("start the storage of the bus", "err", err)
	}
}

// restart closes the storage and opens it again. Connections stay.
func (e *embedded) restart() error {
	if err := e.ShutdownJetStream(); err != nil {
		return fmt.Errorf("close JetStream: %w", err)
	}
	storage := e.storage // the server changes what it is given
	if err := e.EnableJetStream(&storage); err != nil {
		return errors.Join(fmt.Errorf("open JetStream: %w", err), e.ShutdownJetStream())
	}
	return nil
}
