// Package queue joins two stages by a bounded queue that neither side can wedge: items go in at one end and come out in
// the same order at the other. It knows nothing of what the items are.
package queue

import (
	"iter"
	"sync"
)

// Queue is a bounded first-in-first-out queue of any number of writers and one reader. A writer that finds it full waits
// with Put, or drops the item with Offer.
//
// The writers' side calls Close when nothing will follow; the reader's side calls Leave when it will read no more. So a
// reader sees every item that was put, and a writer never waits for a reader that is gone.
type Queue[T any] struct {
	items chan T
	left  chan struct{} // closed by Leave

	leave  sync.Once
	mu     sync.RWMutex // held for reading while an item is put, for writing by Close
	closed bool
}

// New returns a queue that holds up to n items.
func New[T any](n int) *Queue[T] {
	return &Queue[T]{items: make(chan T, n), left: make(chan struct{})}
}

// Put appends an item and waits while the queue is full. It returns false, and the item is lost, once the reader has left
// or the queue is closed.
func (q *Queue[T]) Put(item T) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.gone() {
		return false
	}
	select {
	case q.items <- item:
		return true
	case <-q.left:
		return false
	}
}

// Offer appends an item if there is room at once. When it returns false the item is lost, and the caller counts it.
func (q *Queue[T]) Offer(item T) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.gone() {
		return false
	}
	select {
	case q.items <- item:
		return true
	default:
		return false
	}
}

// gone says that no item can reach the reader any more. Valid iff mu is held.
func (q *Queue[T]) gone() bool {
	if q.closed {
		return true
	}
	select {
	case <-q.left:
		return true
	default:
		return false
	}
}

// Close ends the writers' side, after the Puts that wait now. Further calls do nothing.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		close(q.items)
	}
}

// Leave ends the reader's side. Further calls do nothing.
func (q *Queue[T]) Leave() { q.leave.Do(func() { close(q.left) }) }

// Items is the reader's end: a channel that is closed after the last item.
func (q *Queue[T]) Items() <-chan T { return q.items }

// All yields every item until the queue is closed and empty.
func (q *Queue[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for item := range q.items {
			if !yield(item) {
				return
			}
		}
	}
}

// Len returns how many items wait.
func (q *Queue[T]) Len() int { return len(q.items) }
