package pin

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// State is what becomes of connections to a server.
type State string

const (
	Suspected State = "suspected" // inspected: too little evidence, or a person has to approve
	Learnt    State = "learnt"    // bypassed until it expires, for the clients that have shown it or, if enough have, for all
	Approved  State = "approved"  // bypassed, by a person's decision
	Rejected  State = "rejected"  // inspected, by a person's decision
)

// Reason is what clients did last.
type Reason string

const (
	inWords   Reason = "refused" // they said that they do not accept the gateway's certificate
	byClosing Reason = "closed"  // they ended connections at once and without a word
)

// Pin is a server whose clients accept only certificates of their own choice, or seem to.
type Pin struct {
	ID        string       `json:"id"`
	Name      string       `json:"name" doc:"empty where clients named nobody"`
	Address   string       `json:"address" doc:"address and port that was connected to last"`
	State     State        `json:"state" enum:"suspected,learnt,approved,rejected"`
	Reason    Reason       `json:"reason" enum:"refused,closed"`
	Everybody bool         `json:"everybody" doc:"it holds for all clients"`
	Count     int          `json:"count" doc:"refusals"`
	Clients   []netip.Addr `json:"clients" doc:"who refused last, at most 16"`
	FirstSeen time.Time    `json:"first_seen"`
	LastSeen  time.Time    `json:"last_seen"`
	Expires   time.Time    `json:"expires,omitzero"`
}

// Distrust is a client whose programs do not accept the gateway's certificates at all: it lacks the root.
type Distrust struct {
	Client   netip.Addr `json:"client"`
	Count    int        `json:"count" doc:"refusals"`
	Names    []string   `json:"names" doc:"of servers, the latest first, at most 8"`
	LastSeen time.Time  `json:"last_seen"`
}

const maxNames = 8

// List returns the pins, the latest seen first. What was refused by nobody but clients that refuse everything is not among them.
func (t *Table) List(now time.Time) []Pin {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []Pin{}
	for e := range t.servers.all() {
		if p := t.pin(e, now); p.State == Learnt || t.suspicious(e, now) {
			list = append(list, p)
		}
	}
	for _, e := range t.decided {
		list = append(list, t.pin(e, now))
	}
	slices.SortFunc(list, func(a, b Pin) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// suspicious tells whether some client that accepts others has lately refused the server.
func (t *Table) suspicious(e *entry, now time.Time) bool {
	return slices.ContainsFunc(e.refusing, func(r refusal) bool {
		return now.Sub(r.last) < t.cfg.Time && !t.peek(r.client).lacks(now)
	})
}

func (t *Table) pin(e *entry, now time.Time) Pin {
	p := Pin{
		ID: e.id, Name: e.Name, Address: e.Address.String(), State: e.state, Reason: e.reason, Count: e.count,
		Clients: []netip.Addr{}, FirstSeen: e.first, LastSeen: e.last,
	}
	until := e.until
	for _, r := range e.refusing {
		p.Clients = append(p.Clients, r.client)
		if r.until.After(until) {
			until = r.until
		}
	}
	switch {
	case e.state != "":
		p.Everybody = true
	case until.After(now) && !t.cfg.Approval:
		p.State, p.Expires, p.Everybody = Learnt, until, e.until.After(now)
	default:
		p.State = Suspected
	}
	return p
}

// Distrust returns the clients that lack the root, the latest seen first.
func (t *Table) Distrust(now time.Time) []Distrust {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []Distrust{}
	for c := range t.clients.all() {
		if c.count == 0 || c.believed(now) {
			continue
		}
		d := Distrust{Client: c.address, Count: c.count, Names: []string{}, LastSeen: c.last}
		for _, r := range slices.Backward(c.refused) {
			if len(d.Names) < maxNames {
				d.Names = append(d.Names, cmp.Or(r.server.Name, r.server.Address.String()))
			}
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b Distrust) int { return b.LastSeen.Compare(a.LastSeen) })
	return list
}

// ErrUnknown says that there is no pin of an id.
var ErrUnknown = errors.New("there is no such pin: it may have been forgotten meanwhile")

var errTooMany = errors.New("too many pins were decided about: forget some, or make bypass rules of them")

// Approve has a server bypassed for all clients from now on.
func (t *Table) Approve(id string) error { return t.decide(id, Approved) }

// Reject has a server never bypassed from now on, whatever its clients show.
func (t *Table) Reject(id string) error { return t.decide(id, Rejected) }

func (t *Table) decide(id string, s State) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.decided[id]; e != nil {
		e.state = s
		t.revision++
		return nil
	}
	e, ok := t.servers.peek(id)
	switch {
	case !ok:
		return ErrUnknown
	case len(t.decided) == maxDecided:
		return errTooMany
	}
	t.servers.remove(id)
	e.state = s
	t.decided[id] = e
	t.revision++
	return nil
}

// Forget has a server learnt anew, if its clients still refuse.
func (t *Table) Forget(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.decided[id]
	if e == nil {
		e, _ = t.servers.peek(id)
	}
	if e == nil {
		return ErrUnknown
	}
	t.unlink(e)
	delete(t.decided, id)
	t.servers.remove(id)
	t.revision++
	return nil
}
