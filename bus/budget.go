package bus

import "sync"

// budget bounds the bytes of events that wait to be acknowledged.
type budget struct {
	mu     sync.Mutex
	room   sync.Cond
	left   int
	closed bool
}

func newBudget(bytes int) *budget {
	b := &budget{left: bytes}
	b.room.L = &b.mu
	return b
}

// take reserves n bytes. Where there is no room it waits, or returns false at once; it also returns false after close. What is
// larger than the whole budget passes when nothing else is left to wait for: the budget is then in debt.
func (b *budget) take(n int, wait bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.left <= 0 && wait && !b.closed {
		b.room.Wait()
	}
	if b.left <= 0 || b.closed {
		return false
	}
	b.left -= n
	return true
}

func (b *budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
	b.room.Broadcast()
}

func (b *budget) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.room.Broadcast()
}
