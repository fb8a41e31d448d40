package server

import (
	"math"
	"net/netip"
	"sync"
	"time"
)

const (
	throttleBurst  = 10               // failed sign-ins of one account or address that are free
	throttleRefill = 30 * time.Second // until one more is
	throttleMax    = 10_000           // accounts and addresses that are remembered
)

// throttle slows down guessing of passwords. Each key has a number of free tries, which come back with time.
type throttle struct {
	mu    sync.Mutex
	spent map[string]time.Time // when all tries of the key will be free again; missing means now
}

func newThrottle() *throttle { return &throttle{spent: map[string]time.Time{}} }

// take uses up one try of every key, or says how long to wait if one of them has none: then nothing is used up.
func (t *throttle) take(now time.Time, keys ...string) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		wait = max(wait, t.spent[k].Add(-(throttleBurst-1)*throttleRefill).Sub(now))
	}
	if wait > 0 {
		return wait
	}
	for _, k := range keys {
		t.makeRoom(now)
		from := t.spent[k]
		if from.Before(now) {
			from = now
		}
		t.spent[k] = from.Add(throttleRefill)
	}
	return 0
}

// giveBack undoes take after a success.
func (t *throttle) giveBack(keys ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		if at, ok := t.spent[k]; ok {
			t.spent[k] = at.Add(-throttleRefill)
		}
	}
}

// makeRoom forgets what has run out, and if that is not enough, the key that has spent the least.
func (t *throttle) makeRoom(now time.Time) {
	if len(t.spent) < throttleMax {
		return
	}
	least, at := "", time.Unix(math.MaxInt32, 0)
	for k, v := range t.spent {
		if v.Before(now) {
			delete(t.spent, k)
		} else if v.Before(at) {
			least, at = k, v
		}
	}
	if len(t.spent) >= throttleMax {
		delete(t.spent, least)
	}
}

// network is what counts as one address: whoever has one of IPv6 has 2^64 of them.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return address
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
