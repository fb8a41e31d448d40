package server

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/state"
)

func TestThrottle(t *testing.T) {
	th, now := newThrottle(), time.Now()
	a, b := bucket{"a", throttleBurst}, bucket{"b", throttleBurst}
	for range throttleBurst {
		if wait := th.take(now, a); wait != 0 {
			t.Fatalf("wait %v", wait)
		}
	}
	if wait := th.take(now, b, a); wait != throttleRefill {
		t.Errorf("wait %v", wait)
	}
	if wait := th.take(now, b); wait != 0 || th.spent["b"] != now.Add(throttleRefill) {
		t.Errorf("a refused try used up another bucket: %v", th.spent["b"].Sub(now))
	}
	th.giveBack(a)
	if wait := th.take(now, a); wait != 0 {
		t.Errorf("wait %v after a try was given back", wait)
	}
	if wait := th.take(now.Add(throttleRefill), a); wait != 0 {
		t.Errorf("wait %v after the refill", wait)
	}
	for i := range 2 * throttleMax {
		th.take(now, bucket{fmt.Sprint("x", i), throttleBurst})
		th.remember(now, fmt.Sprint("x", i), "10.0.0.1")
	}
	if len(th.spent) > throttleMax || len(th.familiar) > throttleMax {
		t.Errorf("%d buckets and %d places are remembered", len(th.spent), len(th.familiar))
	}
	if wait := th.take(now.Add(throttleRefill), a); wait == 0 {
		t.Error("a flood of other buckets made it forget the one that guesses")
	}
}

func TestNetworksOf(t *testing.T) {
	for address, want := range map[string][2]string{
		"10.0.0.1": {"10.0.0.1/32", "10.0.0.0/24"}, "::ffff:10.0.0.1": {"10.0.0.1/32", "10.0.0.0/24"},
		"2001:db8::1": {"2001:db8::/64", "2001:db8::/64"}, "fe80::1%eth0": {"fe80::/64", "fe80::/64"}, "x": {"x", "x"},
	} {
		if host, network := networksOf(address); host != want[0] || network != want[1] {
			t.Errorf("%s is in %s and %s", address, host, network)
		}
	}
}

// Somebody who guesses must not keep the owner of an account out of it.
func TestGuessesElsewhereDoNotLockOut(t *testing.T) {
	now := time.Now()
	try := func(th *throttle, account, address string) time.Duration {
		return th.take(now, th.bucketsFor(now, account, address)...)
	}
	for _, tc := range []struct {
		name    string
		guesses func(i int) (address string)
		n       int
		known   bool   // the owner signed in from 10.1.1.1 before
		from    string // where the owner is now
		free    bool
	}{
		{"from one address", func(int) string { return "192.0.2.1" }, 1000, false, "10.1.1.1", true},
		{"from a whole network", func(i int) string { return fmt.Sprintf("192.0.2.%d", i%256) }, 1000, false, "10.1.1.1", true},
		{"from everywhere, the owner at a new place", func(i int) string { return fmt.Sprintf("192.%d.2.1", i) }, 200, false, "10.1.1.1", false},
		{"from everywhere, the owner at home", func(i int) string { return fmt.Sprintf("192.%d.2.1", i) }, 200, true, "10.1.1.1", true},
		{"from everywhere, the owner's address has changed", func(i int) string { return fmt.Sprintf("192.%d.2.1", i) }, 200, true, "10.1.1.9", true},
		{"from the owner's network", func(i int) string { return fmt.Sprintf("10.1.1.%d", 2+i%250) }, 1000, true, "10.1.1.1", true},
		{"from the owner's address", func(int) string { return "10.1.1.1" }, 1000, true, "10.1.1.1", false},
		{"from the owner's network, the owner at a new address", func(i int) string { return fmt.Sprintf("10.1.1.%d", 2+i%250) }, 1000, false, "10.1.1.1", false},
	} {
		th := newThrottle()
		if tc.known {
			th.remember(now, "admin", "10.1.1.1")
		}
		guessed := 0
		for i := range tc.n {
			if try(th, "admin", tc.guesses(i)) == 0 {
				guessed++
			}
		}
		if guessed > throttleAccount {
			t.Errorf("%s: %d guesses at once", tc.name, guessed)
		}
		if wait := try(th, "admin", tc.from); (wait == 0) != tc.free {
			t.Errorf("%s: the owner waits for %v", tc.name, wait)
		}
	}
}

// The places that are known outlive a restart, and only those of a success are.
func TestPlacesOfSignInsAreRemembered(t *testing.T) {
	s := open(t, nil)
	s.client().do(http.MethodPost, "/api/v1/session", api.SignIn{Username: "admin", Password: "wrong"})
	if n := len(s.srv.signIns.bucketsFor(time.Now(), "admin", "127.0.0.1")); n != 3 {
		t.Errorf("a wrong password makes the address known: %d buckets", n)
	}
	s.admin()
	must(t, s.state.Audit(t.Context(), state.AuditEntry{Time: time.Now().Add(-2 * familiarFor), Actor: "ann", Address: "127.0.0.1", Action: "session.start", Outcome: state.OK}))
	again := &Server{deps: s.srv.deps, signIns: newThrottle()}
	must(t, again.rememberSignIns(t.Context()))
	for name, want := range map[string]int{"admin": 1, "ann": 3, "nobody": 3} {
		if n := len(again.signIns.bucketsFor(time.Now(), name, "127.0.0.1")); n != want {
			t.Errorf("%s has %d buckets, want %d", name, n, want)
		}
	}
	if n := len(again.signIns.bucketsFor(time.Now(), "admin", "127.0.0.9")); n != 2 {
		t.Errorf("a neighbour has %d buckets", n)
	}
}
