package parse

import "sync/atomic"

// shares is how many connections it takes at the least to use up a Budget.
const shares = 4

// Budget bounds the bytes that all connections together hold between calls. Safe for concurrent use.
type Budget struct {
	limit int64
	left  atomic.Int64
}

// NewBudget returns a Budget of that many bytes.
func NewBudget(limit int64) *Budget {
	b := &Budget{limit: limit}
	b.left.Store(limit)
	return b
}

// Used returns how many bytes are held now.
func (b *Budget) Used() int64 { return b.limit - b.left.Load() }

// Memory returns what one connection takes its bytes from. It gets a quarter of the Budget at the most.
func (b *Budget) Memory() Memory { return Memory{budget: b, most: b.limit / shares} }

// Memory is what one connection holds of a Budget. A nil *Memory has no bound. Not safe for concurrent use.
type Memory struct {
	budget *Budget
	most   int64
	held   int64
}

// Take reserves n bytes, or none and returns false.
func (m *Memory) Take(n int) bool {
	if m == nil {
		return true
	}
	size := int64(n)
	if m.held+size > m.most {
		return false
	}
	if m.budget.left.Add(-size) < 0 {
		m.budget.left.Add(size)
		return false
	}
	m.held += size
	return true
}

// Give returns n bytes that Take has reserved. After Release there is nothing to return.
func (m *Memory) Give(n int) {
	if m == nil {
		return
	}
	size := min(int64(n), m.held)
	m.held -= size
	m.budget.left.Add(size)
}

// Held returns how many bytes are reserved.
func (m *Memory) Held() int { return int(m.held) }

// Release returns all that is reserved.
func (m *Memory) Release() { m.Give(int(m.held)) }
