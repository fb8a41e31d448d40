package server

import (
	"math"
	"net/netip"
	"sync"
	"time"
)

const (
	throttleBurst   = 10               // failed sign-ins from one address, or to an account from one network, that are free
	throttleAccount = 100              // of one account from all networks that it is not known to sign in from
	throttleRefill  = 30 * time.Second // until one more is
	throttleMax     = 10_000           // buckets that are remembered, and places that accounts sign in from
	familiarFor     = 30 * 24 * time.Hour
)

// bucket is a number of free tries, which come back with time.
type bucket struct {
	key   string
	burst int
}

// throttle slows down guessing of passwords. Nobody can use it to lock an account out from where its owner signs in: an
// address that the account signed in from lately has only its own tries to lose, and a network of which that is true only
// those of the network. A name that is no account's is treated the same.
type throttle struct {
	mu       sync.Mutex
	spent    map[string]time.Time // when all tries of the key will be free again; missing means now
	familiar map[string]time.Time // until when an account and an address or network that it signed in from are remembered
}

func newThrottle() *throttle {
	return &throttle{spent: map[string]time.Time{}, familiar: map[string]time.Time{}}
}

// bucketsFor returns those that a try to sign in to an account uses up.
func (t *throttle) bucketsFor(now time.Time, account, address string) []bucket {
	host, network := networksOf(address)
	buckets := []bucket{{"address " + host, throttleBurst}}
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.familiar[account+" "+host]) {
		return buckets
	}
	buckets = append(buckets, bucket{"account " + account + " from " + network, throttleBurst})
	if now.Before(t.familiar[account+" "+network]) {
		return buckets
	}
	return append(buckets, bucket{"account " + account, throttleAccount})
}

// remember notes from where an account signed in.
func (t *throttle) remember(at time.Time, account, address string) {
	host, network := networksOf(address)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, place := range []string{host, network} {
		key := account + " " + place
		if _, ok := t.familiar[key]; !ok {
			makeRoom(t.familiar, at)
		}
		if until := at.Add(familiarFor); until.After(t.familiar[key]) {
			t.familiar[key] = until
		}
	}
}

// take uses up one try of every bucket, or says how long to wait if one of them has none: then nothing is used up.
func (t *throttle) take(now time.Time, buckets ...bucket) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range buckets {
		wait = max(wait, t.spent[b.key].Add(-time.Duration(b.burst-1)*throttleRefill).Sub(now))
	}
	if wait > 0 {
		return wait
	}
	for _, b := range buckets {
		makeRoom(t.spent, now)
		from := t.spent[b.key]
		if from.Before(now) {
			from = now
		}
		t.spent[b.key] = from.Add(throttleRefill)
	}
	return 0
}

// giveBack undoes take after a success.
func (t *throttle) giveBack(buckets ...bucket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range buckets {
		if at, ok := t.spent[b.key]; ok {
			t.spent[b.key] = at.Add(-throttleRefill)
		}
	}
}

// makeRoom forgets what has run out, and if that is not enough, what will run out first.
func makeRoom(until map[string]time.Time, now time.Time) {
	if len(until) < throttleMax {
		return
	}
	first, at := "", time.Unix(math.MaxInt32, 0)
	for k, v := range until {
		if v.Before(now) {
			delete(until, k)
		} else if v.Before(at) {
			first, at = k, v
		}
	}
	if len(until) >= throttleMax {
		delete(until, first)
	}
}

// networksOf returns what counts as one address, since whoever has one of IPv6 has 2^64 of them, and what counts as one
// network.
func networksOf(address string) (host, network string) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address, address
	}
	a = a.Unmap().WithZone("")
	hostBits, networkBits := 64, 64
	if a.Is4() {
		hostBits, networkBits = 32, 24
	}
	return netip.PrefixFrom(a, hostBits).Masked().String(), netip.PrefixFrom(a, networkBits).Masked().String()
}
