package pin

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Saved is what outlives a Table of one server: a person's decision, or what was learnt.
type Saved struct {
	Name    string                   `json:"name,omitempty"`
	Address netip.AddrPort           `json:"address"`
	State   State                    `json:"state,omitempty"` // Approved, Rejected or, if nobody has decided, empty
	Reason  Reason                   `json:"reason"`
	Count   int                      `json:"count"`
	First   time.Time                `json:"first_seen"`
	Last    time.Time                `json:"last_seen"`
	Until   time.Time                `json:"until,omitzero"`    // for all clients
	Clients map[netip.Addr]time.Time `json:"clients,omitempty"` // for these
}

// Revision is another one once there is something else to save.
func (t *Table) Revision() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.revision
}

// Export returns what is worth to be saved: what people have decided and what was learnt and holds, but no suspicion.
func (t *Table) Export(now time.Time) []Saved {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []Saved{}
	for _, e := range t.decided {
		list = append(list, e.save(now))
	}
	for e := range t.servers.all() {
		if s := e.save(now); s.Until.After(now) || len(s.Clients) > 0 {
			list = append(list, s)
		}
	}
	return list
}

func (e *entry) save(now time.Time) Saved {
	s := Saved{e.Name, e.Address, e.state, e.reason, e.count, e.first, e.last, e.until, map[netip.Addr]time.Time{}}
	for _, r := range e.refusing {
		if r.until.After(now) {
			s.Clients[r.client] = r.until
		}
	}
	return s
}

// Import puts what was saved into a new Table. It refuses what no Table has saved.
func (t *Table) Import(list []Saved, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(list) > maxServers+maxDecided {
		return fmt.Errorf("%d pins: at most %d", len(list), maxServers+maxDecided)
	}
	for _, s := range list {
		if err := t.restore(s, now); err != nil {
			return fmt.Errorf("pin of %q: %w", s.Name, err)
		}
	}
	return nil
}

func (t *Table) restore(s Saved, now time.Time) error {
	server := Server{s.Name, s.Address}.normal()
	switch {
	case s.State != "" && s.State != Approved && s.State != Rejected:
		return fmt.Errorf("no decision is called %q", s.State)
	case len(s.Name) > maxName || len(s.Clients) > maxRefusing || s.Name == "" && !s.Address.IsValid():
		return errors.New("no server, or too many clients")
	case s.State != "" && len(t.decided) == maxDecided:
		return errTooMany
	}
	e := t.entry(server, now)
	e.reason, e.count, e.first, e.last, e.until = s.Reason, s.Count, s.First, s.Last, s.Until
	for address, until := range s.Clients {
		t.note(t.client(address, now), e, 0, now)
		e.refusing[e.find(address)].until = until
	}
	if s.State != "" {
		t.servers.remove(e.id)
		e.state = s.State
		t.decided[e.id] = e
	}
	return nil
}
