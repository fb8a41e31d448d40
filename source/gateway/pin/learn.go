package pin

import (
	"net/netip"
	"time"
)

// learn draws its conclusions from what the client has shown of the server last.
func (t *Table) learn(c *client, e *entry, now time.Time) {
	r := &e.refusing[e.find(c.address)]
	if r.evidence < enough {
		return
	}
	if c.believed(now) && c.acceptedAnother(e.id) {
		r.until = now.Add(t.cfg.Time)
		t.revision++
	}
	if t.agreed(e, now) {
		e.until = now.Add(t.cfg.Time)
		t.revision++
	}
}

// agreed tells whether enough clients have shown the same, and none the contrary.
func (t *Table) agreed(e *entry, now time.Time) bool {
	if at, ok := t.accepted.peek(e.id); ok && now.Sub(at) < t.cfg.Time {
		return false
	}
	networks := map[netip.Prefix]bool{}
	for _, r := range e.refusing {
		if c := t.peek(r.client); r.evidence >= enough && now.Sub(r.last) < t.cfg.Time && (c.believed(now) && c.acceptedAnother(e.id) || c.settled(now)) {
			networks[network(r.client)] = true
		}
	}
	return len(networks) >= t.cfg.Clients
}

// network returns the addresses that one machine may have at will: of IPv6, all of a link.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // a valid length
	return p
}

// believed tells whether the client seems to have the gateway's root.
func (c *client) believed(now time.Time) bool {
	since := 0
	for _, r := range c.refused {
		if r.last.After(c.trusted) {
			since++
		}
	}
	return now.Sub(c.trusted) < trusting && since < lacking
}

// acceptedAnother tells whether the client took the gateway's certificate for a server besides this one.
func (c *client) acceptedAnother(id string) bool {
	return c.accepted[0] != "" && c.accepted[0] != id || c.accepted[1] != ""
}

// settled tells whether a client that has accepted nothing refuses one server alone, and would have shown by now that it refuses others.
func (c *client) settled(now time.Time) bool {
	return c.trusted.IsZero() && len(c.refused) == 1 && now.Sub(c.first) >= settling
}

// lacks tells whether the client refuses whatever it asks for.
func (c *client) lacks(now time.Time) bool { return !c.believed(now) && len(c.refused) > 1 }
