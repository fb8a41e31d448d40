package probe

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

// maxCoverage bounds the list: a process for each connection is nothing unusual.
const maxCoverage = 16384

// Coverage says for one process and one TLS library whether the probe sees the plaintext.
type Coverage struct {
	event.Coverage
	Process   *flow.Process
	Container *flow.Container
	Since     time.Time
	Plaintext uint64 // bytes that were seen of the process, by all its libraries
}

// coverage is the list of them.
type coverage struct {
	tell func(*Coverage) // takes each change

	mu      sync.Mutex
	entries map[int]map[*library]*coverageEntry // by process
	n       int
}

type coverageEntry struct {
	Coverage
	program *program
}

func newCoverage(tell func(*Coverage)) *coverage {
	return &coverage{tell: tell, entries: map[int]map[*library]*coverageEntry{}}
}

// obstacle is why a process is not seen into, or not wholly. The zero value stands for nothing.
type obstacle struct {
	reason event.CoverageReason
	cause  event.CoverageCause // empty if only the detail tells
	detail string
}

// set notes what is so now. A nil library stands for the process as a whole.
func (c *coverage) set(p *program, l *library, o obstacle) {
	now := event.Coverage{State: event.Covered}
	if o.reason != "" {
		now = event.Coverage{State: event.NotCovered, Reason: o.reason, Cause: o.cause, Detail: o.detail}
	}
	if o.reason == event.BesideUnseen {
		now.State = event.PartlyCovered
	}
	if l != nil {
		now.Path, now.Library, now.Version = l.path, l.name, l.version
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[p.pid][l]
	if e != nil && e.Coverage.Coverage == now && e.program == p {
		return
	}
	if e == nil {
		if c.n >= maxCoverage {
			return
		}
		c.n++
	}
	e = &coverageEntry{Coverage{Coverage: now, Process: p.facts, Container: p.container, Since: time.Now()}, p}
	if c.entries[p.pid] == nil {
		c.entries[p.pid] = map[*library]*coverageEntry{}
	}
	c.entries[p.pid][l] = e
	c.tell(&e.Coverage)
}

// ended drops the entries of a process.
func (c *coverage) ended(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.entries[pid] {
		c.drop(pid, l)
	}
}

// left drops the entry of a library that a process has no longer.
func (c *coverage) left(pid int, l *library) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(pid, l)
}

// drop ends an entry. Its end is told if it said anything: short programs that only load a library are many. Valid iff mu is held.
func (c *coverage) drop(pid int, l *library) {
	e := c.entries[pid][l]
	if e == nil {
		return
	}
	c.n--
	if delete(c.entries[pid], l); len(c.entries[pid]) == 0 {
		delete(c.entries, pid)
	}
	last := e.Coverage
	last.State, last.Reason, last.Cause, last.Detail = event.CoverageEnded, "", "", ""
	if last.Plaintext = e.program.plaintext.Load(); last.Plaintext > 0 {
		c.tell(&last)
	}
}

// list returns what is so now, by process.
func (c *coverage) list() []Coverage {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]Coverage, 0, c.n)
	for _, libraries := range c.entries {
		for _, e := range libraries {
			one := e.Coverage
			one.Plaintext = e.program.plaintext.Load()
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b Coverage) int {
		return cmp.Or(cmp.Compare(a.Process.PID, b.Process.PID), cmp.Compare(a.Path, b.Path))
	})
	return list
}
