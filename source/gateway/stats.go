package gateway

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/admission"
)

// Stats count what happened so far.
type Stats struct {
	Open         int                    // connections at this moment
	Inspected    int                    // of them, those that are looked into
	Actions      map[flow.Action]uint64 // connections that have ended, by what was done with them
	Reasons      map[flow.Reason]uint64 // why those of TLS were not looked into
	Faults       map[flow.Fault]uint64  // of the certificates of origins
	Refused      uint64                 // clients whose request could not be read, or who may not ask
	Unreachable  uint64                 // requests for origins that could not be connected to
	Guarded      uint64                 // requests for addresses that the guard keeps
	Blocked      uint64                 // requests for names or addresses that a rule blocks
	OverCapacity uint64                 // connections closed since there were too many
	OverClient   uint64                 // connections closed since there were too many of one client
	AcceptErrors uint64
	Panics       uint64
}

// counters are what Stats tells.
type counters struct {
	refused, unreachable, guarded, blocked, overCapacity, overClient, acceptErrors, panics atomic.Uint64

	mu      sync.Mutex
	actions map[flow.Action]uint64
	reasons map[flow.Reason]uint64
	faults  map[flow.Fault]uint64
}

// turnedAway counts a connection that was not let in.
func (c *counters) turnedAway(err error) {
	if errors.Is(err, admission.ErrClient) {
		c.overClient.Add(1)
	} else {
		c.overCapacity.Add(1)
	}
}

// count adds a connection that has ended.
func (c *counters) count(conn *flow.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.actions == nil {
		c.actions, c.reasons, c.faults = map[flow.Action]uint64{}, map[flow.Reason]uint64{}, map[flow.Fault]uint64{}
	}
	c.actions[conn.Policy.Action]++
	if conn.TLS == nil {
		return
	}
	if r := conn.Decryption.Reason; r != "" {
		c.reasons[r]++
	}
	if f := conn.TLS.Fault; f != flow.NoFault {
		c.faults[f]++
	}
}

// Stats returns the counts so far.
func (g *Gateway) Stats() Stats {
	c := &g.stats
	c.mu.Lock()
	defer c.mu.Unlock()
	open, inspected := g.desk.Open()
	return Stats{
		Open: open, Inspected: inspected, Actions: maps.Clone(c.actions), Reasons: maps.Clone(c.reasons), Faults: maps.Clone(c.faults),
		Refused: c.refused.Load(), Unreachable: c.unreachable.Load(), Guarded: c.guarded.Load(), Blocked: c.blocked.Load(), OverCapacity: c.overCapacity.Load(), OverClient: c.overClient.Load(),
		AcceptErrors: c.acceptErrors.Load(), Panics: c.panics.Load(),
	}
}
