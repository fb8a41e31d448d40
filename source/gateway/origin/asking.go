package origin

import (
	"sync"
	"time"
)

// Asking remembers who asked for client certificates, for a time. It is safe for concurrent use; the zero value is ready.
type Asking struct {
	mu    sync.Mutex
	until map[Asker]time.Time
}

// Asker is an origin, by the address and by the name that it was asked for.
type Asker struct {
	Address, Name string
	Late          bool // it asks once it has read something, as the gateway cannot answer
}

const (
	maxAskers = 10_000
	askerTime = time.Hour
)

// Add notes that the origin has asked.
func (m *Asking) Add(a Asker, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until == nil || len(m.until) >= maxAskers {
		m.until = map[Asker]time.Time{}
	}
	m.until[a] = now.Add(askerTime)
}

// Has tells whether the origin has asked lately.
func (m *Asking) Has(a Asker, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.until[a])
}
