package pin_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// story is a Table with a clock and short ways to say what clients do.
type story struct {
	*pin.Table
	now time.Time
}

func tell(cfg pin.Config) *story { return &story{pin.New(cfg), start} }

func client(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }

func server(name string) pin.Server {
	return pin.Server{Name: name, Address: netip.MustParseAddrPort("192.0.2.1:443")}
}

func (s *story) accepts(from int, names ...string) {
	for _, n := range names {
		s.Accept(client(from), server(n), s.now)
	}
}

func (s *story) refuses(from int, times int, what pin.Evidence, names ...string) {
	for _, n := range names {
		for range times {
			s.Refuse(client(from), server(n), what, s.now)
		}
	}
}

func (s *story) pinned(from int, name string) bool {
	return s.Pinned(client(from), server(name), s.now)
}

func (s *story) later(d time.Duration) { s.now = s.now.Add(d) }

// states returns those of all pins that are listed.
func (s *story) states() map[string]pin.State {
	m := map[string]pin.State{}
	for _, p := range s.List(s.now) {
		m[p.Name] = p.State
	}
	return m
}

func (s *story) id(t testing.TB, name string) string {
	t.Helper()
	for _, p := range s.List(s.now) {
		if p.Name == name {
			return p.ID
		}
	}
	t.Fatalf("%s is not listed", name)
	return ""
}

// TestLearning has clients show what they think of the gateway's certificates, and checks who is bypassed in the end.
func TestLearning(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg    pin.Config
		happen func(*story)
		want   map[int]bool // clients that are bypassed for app.example
		state  pin.State    // empty: not listed
	}{
		"a client that trusts the root refuses twice": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.refuses(1, 2, pin.Refused, "app.example")
		}, map[int]bool{1: true, 2: false}, pin.Learnt},
		"once is not enough": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.refuses(1, 1, pin.Refused, "app.example")
		}, map[int]bool{1: false}, pin.Suspected},
		"ends without a word count less": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.refuses(1, 3, pin.Closed, "app.example")
		}, map[int]bool{1: false}, pin.Suspected},
		"many of them are enough": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.refuses(1, 4, pin.Closed, "app.example")
		}, map[int]bool{1: true}, pin.Learnt},
		"long ago does not count": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.refuses(1, 1, pin.Refused, "app.example")
			s.later(2 * time.Hour)
			s.refuses(1, 1, pin.Refused, "app.example")
		}, map[int]bool{1: false}, pin.Suspected},
		"the name in another form": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.refuses(1, 1, pin.Refused, "APP.example.")
			s.refuses(1, 1, pin.Refused, "app.example")
		}, map[int]bool{1: true}, pin.Learnt},
		"trusted first afterwards": {pin.Config{}, func(s *story) {
			s.refuses(1, 2, pin.Refused, "app.example")
			s.accepts(1, "www.example")
			s.refuses(1, 1, pin.Refused, "app.example")
		}, map[int]bool{1: true}, pin.Learnt},
		"the same server alone is no proof of the root": {pin.Config{}, func(s *story) {
			s.accepts(1, "app.example")
			s.refuses(1, 2, pin.Refused, "app.example")
		}, map[int]bool{1: false}, pin.Suspected},
		"used in between": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.refuses(1, 1, pin.Refused, "app.example")
			s.accepts(1, "app.example")
			s.refuses(1, 1, pin.Refused, "app.example")
		}, map[int]bool{1: false}, pin.Suspected},
		"a client without the root": {pin.Config{}, func(s *story) {
			s.refuses(1, 3, pin.Refused, "app.example", "www.example", "mail.example")
		}, map[int]bool{1: false}, ""},
		"many clients without the root": {pin.Config{}, func(s *story) {
			for i := range 10 {
				s.refuses(i, 3, pin.Refused, "app.example")
			}
			s.later(time.Minute)
			for i := range 10 {
				s.refuses(i, 3, pin.Refused, "www.example", "app.example")
			}
			s.later(time.Hour / 2)
			for i := range 10 {
				s.refuses(i, 3, pin.Refused, "app.example")
			}
		}, map[int]bool{1: false, 99: false}, ""},
		"a client that has lost the root": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.later(time.Minute)
			s.refuses(1, 1, pin.Refused, "a.example", "b.example", "c.example", "d.example", "e.example", "f.example")
			s.refuses(1, 2, pin.Refused, "app.example")
		}, map[int]bool{1: false}, ""},
		"the root was trusted too long ago": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.later(8 * 24 * time.Hour)
			s.refuses(1, 2, pin.Refused, "app.example")
		}, map[int]bool{1: false}, pin.Suspected},
		"three clients agree": {pin.Config{}, func(s *story) {
			for i := range 3 {
				s.accepts(i, "www.example")
				s.refuses(i, 2, pin.Refused, "app.example")
			}
		}, map[int]bool{1: true, 99: true}, pin.Learnt},
		"two clients do not speak for others": {pin.Config{}, func(s *story) {
			for i := range 2 {
				s.accepts(i, "www.example")
				s.refuses(i, 2, pin.Refused, "app.example")
			}
		}, map[int]bool{1: true, 99: false}, pin.Learnt},
		"three clients agree, one uses it": {pin.Config{}, func(s *story) {
			s.accepts(7, "app.example")
			for i := range 3 {
				s.accepts(i, "www.example")
				s.refuses(i, 2, pin.Refused, "app.example")
			}
		}, map[int]bool{1: true, 99: false}, pin.Learnt},
		"one uses it later": {pin.Config{}, func(s *story) {
			for i := range 3 {
				s.accepts(i, "www.example")
				s.refuses(i, 2, pin.Refused, "app.example")
			}
			s.accepts(7, "app.example")
		}, map[int]bool{1: true, 99: false}, pin.Learnt},
		"devices that ask for one server alone": {pin.Config{}, func(s *story) {
			for range 3 {
				for i := range 3 {
					s.refuses(i, 2, pin.Refused, "app.example")
				}
				s.later(9 * time.Minute)
			}
		}, map[int]bool{1: true, 99: true}, pin.Learnt},
		"two of one network": {pin.Config{Clients: 2}, func(s *story) {
			for i := range 2 {
				a := netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i))
				s.Accept(a, server("www.example"), s.now)
				s.Refuse(a, server("app.example"), pin.Refused, s.now)
				s.Refuse(a, server("app.example"), pin.Refused, s.now)
			}
		}, map[int]bool{99: false}, pin.Learnt},
		"it expires": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.refuses(1, 2, pin.Refused, "app.example")
			s.later(pin.DefaultTime)
		}, map[int]bool{1: false}, ""},
		"approval is needed": {pin.Config{Approval: true}, func(s *story) {
			s.accepts(1, "www.example")
			s.refuses(1, 9, pin.Refused, "app.example")
		}, map[int]bool{1: false}, pin.Suspected},
		"an endless name": {pin.Config{}, func(s *story) {
			s.accepts(1, "www.example")
			s.refuses(1, 2, pin.Refused, string(make([]byte, 60_000)))
		}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(tt.cfg)
			tt.happen(s)
			for from, want := range tt.want {
				if got := s.pinned(from, "app.example"); got != want {
					t.Errorf("client %d: bypassed is %v, want %v", from, got, want)
				}
			}
			if got := s.states()["app.example"]; got != tt.state {
				t.Errorf("state is %q, want %q; %v", got, tt.state, s.states())
			}
		})
	}
}

// TestDecisionsOfPeople approves and rejects, which no evidence changes.
func TestDecisionsOfPeople(t *testing.T) {
	s := tell(pin.Config{Approval: true})
	s.accepts(1, "www.example")
	s.refuses(1, 1, pin.Refused, "app.example", "bad.example")
	good, bad := s.id(t, "app.example"), s.id(t, "bad.example")
	if err := s.Approve(good); err != nil {
		t.Fatal(err)
	}
	if err := s.Reject(bad); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		s.accepts(i, "www.example")
		s.refuses(i, 5, pin.Refused, "bad.example")
	}
	s.accepts(4, "app.example")
	s.later(1000 * time.Hour)
	if !s.pinned(99, "app.example") || s.pinned(1, "bad.example") {
		t.Errorf("approved: bypassed is %v; rejected: %v", s.pinned(99, "app.example"), s.pinned(1, "bad.example"))
	}
	if got, want := s.states(), (map[string]pin.State{"app.example": pin.Approved, "bad.example": pin.Rejected}); !cmp.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if err := s.Reject(good); err != nil || s.pinned(99, "app.example") {
		t.Errorf("rejected after it was approved: %v", err)
	}
	if err := s.Forget(good); err != nil || len(s.List(s.now)) != 1 {
		t.Errorf("forget: %v; %v", err, s.List(s.now))
	}
	for _, decide := range []func(string) error{s.Approve, s.Reject, s.Forget} {
		if err := decide(good); err != pin.ErrUnknown {
			t.Errorf("of a forgotten one: %v", err)
		}
	}
}

// TestDistrust tells clients that lack the root from those that pin.
func TestDistrust(t *testing.T) {
	s := tell(pin.Config{})
	s.accepts(1, "www.example")
	s.refuses(1, 2, pin.Refused, "app.example")
	s.later(time.Minute)
	s.refuses(2, 2, pin.Refused, "a.example", "b.example")
	s.refuses(3, 9, pin.Closed, "c.example") // says nothing about roots
	want := []pin.Distrust{{Client: client(2), Count: 4, Names: []string{"b.example", "a.example"}, LastSeen: s.now}}
	if diff := cmp.Diff(want, s.Distrust(s.now), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	s.accepts(2, "b.example")
	if got := s.Distrust(s.now); len(got) != 0 {
		t.Errorf("it has the root now: %v", got)
	}
}

// TestSaved puts what was learnt into another Table.
func TestSaved(t *testing.T) {
	s := tell(pin.Config{})
	for i := range 3 {
		s.accepts(i, "www.example")
		s.refuses(i, 2, pin.Refused, "all.example")
	}
	s.refuses(1, 2, pin.Refused, "one.example", "good.example", "bad.example")
	s.refuses(1, 1, pin.Refused, "perhaps.example")
	before := s.Revision()
	for id, decide := range map[string]func(string) error{s.id(t, "good.example"): s.Approve, s.id(t, "bad.example"): s.Reject} {
		if err := decide(id); err != nil {
			t.Fatal(err)
		}
	}
	if s.Revision() == before {
		t.Error("the revision is the same")
	}
	text, err := json.Marshal(s.Export(s.now))
	if err != nil {
		t.Fatal(err)
	}
	var saved []pin.Saved
	if err := json.Unmarshal(text, &saved); err != nil {
		t.Fatal(err)
	}
	later := tell(pin.Config{})
	if err := later.Import(saved, later.now); err != nil {
		t.Fatal(err)
	}
	want := map[string]pin.State{"all.example": pin.Learnt, "one.example": pin.Learnt, "good.example": pin.Approved, "bad.example": pin.Rejected}
	if got := later.states(); !cmp.Equal(got, want) {
		t.Errorf("restored %v, want %v", got, want)
	}
	for name, want := range map[string][2]bool{"all.example": {true, true}, "one.example": {true, false}, "good.example": {true, true}, "bad.example": {false, false}, "perhaps.example": {false, false}} {
		if got := [2]bool{later.pinned(1, name), later.pinned(99, name)}; got != want {
			t.Errorf("%s: bypassed for the client that has refused, and for another: %v, want %v", name, got, want)
		}
	}
	for name, wrong := range map[string]pin.Saved{"state": {Name: "a", State: "learnt"}, "server": {}, "name": {Name: string(make([]byte, 300))}} {
		if err := later.Import([]pin.Saved{wrong}, later.now); err == nil {
			t.Errorf("a wrong %s was taken", name)
		}
	}
}

// TestFlood has one client refuse endless names, then endless clients: what others have shown stays at first, and the table is bounded.
func TestFlood(t *testing.T) {
	s := tell(pin.Config{})
	s.accepts(1, "www.example")
	s.refuses(1, 2, pin.Refused, "app.example")
	for i := range 20_000 {
		s.refuses(2, 2, pin.Refused, fmt.Sprintf("n%d.example", i))
	}
	if !s.pinned(1, "app.example") {
		t.Error("one client has displaced what another has shown")
	}
	if n := len(s.Distrust(s.now)); n != 1 {
		t.Errorf("%d clients lack the root", n)
	}
	for i := range 20_000 {
		s.refuses(100+i, 1, pin.Refused, fmt.Sprintf("n%d.example", i%7000), "app.example")
	}
	if got := s.List(s.now); len(got) > 4096 || slices.ContainsFunc(got, func(p pin.Pin) bool { return len(p.Clients) > 16 }) {
		t.Errorf("%d pins", len(got))
	}
	if n := len(s.Distrust(s.now)); n > 8192 {
		t.Errorf("%d clients", n)
	}
}

// TestNoName is about a server that is known by its address alone.
func TestNoName(t *testing.T) {
	s := tell(pin.Config{})
	s.accepts(1, "www.example")
	s.refuses(1, 2, pin.Refused, "")
	other := pin.Server{Address: netip.MustParseAddrPort("192.0.2.2:443")}
	if !s.pinned(1, "") || s.Pinned(client(1), other, s.now) {
		t.Error("not by the address")
	}
}

func BenchmarkPinned(b *testing.B) {
	s := tell(pin.Config{})
	for i := range 5000 {
		s.accepts(i, "www.example")
		s.refuses(i, 2, pin.Refused, fmt.Sprintf("n%d.example", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		s.pinned(4999, "n4999.example")
	}
}
