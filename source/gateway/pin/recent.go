package pin

import (
	"container/list"
	"iter"
)

// recent is a map that forgets what was not asked for longest, once it holds more than its limit.
type recent[K comparable, V any] struct {
	limit   int
	forget  func(V) // is told what is forgotten to keep the limit
	entries map[K]*list.Element
	order   *list.List // of pair[K, V], the latest first
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](limit int, forget func(V)) *recent[K, V] {
	return &recent[K, V]{limit: limit, forget: forget, entries: map[K]*list.Element{}, order: list.New()}
}

// get returns what is there, which counts as asking for it.
func (r *recent[K, V]) get(k K) (v V, ok bool) {
	if e := r.entries[k]; e != nil {
		r.order.MoveToFront(e)
	}
	return r.peek(k)
}

// peek returns what is there, which does not.
func (r *recent[K, V]) peek(k K) (v V, ok bool) {
	if e := r.entries[k]; e != nil {
		return e.Value.(pair[K, V]).value, true
	}
	return v, false
}

// put puts a value in the place of the one before, if there is one.
func (r *recent[K, V]) put(k K, v V) {
	r.remove(k)
	if len(r.entries) == r.limit {
		last := r.order.Back().Value.(pair[K, V])
		r.forget(last.value)
		r.remove(last.key)
	}
	r.entries[k] = r.order.PushFront(pair[K, V]{k, v})
}

func (r *recent[K, V]) remove(k K) {
	if e := r.entries[k]; e != nil {
		r.order.Remove(e)
		delete(r.entries, k)
	}
}

// all yields the latest first.
func (r *recent[K, V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		for e := r.order.Front(); e != nil && yield(e.Value.(pair[K, V]).value); {
			e = e.Next()
		}
	}
}
