package gateway

import (
	"strconv"
	"testing"
	"time"
)

// TestVainOffers checks for how long sessions of an origin that refuses them are not offered, and that what is kept of that is bounded.
func TestVainOffers(t *testing.T) {
	c, now := newSessionCache(), time.Unix(1_000_000, 0)
	refuse := func(key string, times int) {
		for range times {
			c.offered(key, false, now)
		}
	}
	if refuse("shop.example", maxVain-1); c.refused("shop.example", now) {
		t.Error("given up too early")
	}
	c.offered("shop.example", true, now)
	if refuse("shop.example", maxVain-1); c.refused("shop.example", now) {
		t.Error("a session that was resumed has changed nothing")
	}
	refuse("shop.example", 1)
	for after, want := range map[time.Duration]bool{0: true, vainTime - time.Second: true, vainTime: false} {
		if got := c.refused("shop.example", now.Add(after)); got != want {
			t.Errorf("after %v: refused is %t", after, got)
		}
	}
	now = now.Add(vainTime)
	if refuse("shop.example", 1); !c.refused("shop.example", now) {
		t.Error("the first refusal after the time was not enough")
	}
	for i := range 3 * sessions {
		refuse(strconv.Itoa(i), 1)
	}
	if n := len(c.vain); n > sessions {
		t.Errorf("%d origins are kept, want %d at most", n, sessions)
	}
}
