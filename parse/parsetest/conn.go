package parsetest

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// start is when the first segment of each conversation was seen.
var start = time.UnixMilli(1_700_000_000_000).UTC()

// poison is what bytes are overwritten with once they are no longer valid.
const poison = 0xAA

// budget is more memory than any conversation takes.
const budget = 1 << 40

// conn is one connection: it keeps what a parser leaves and offers it again, longer.
type conn struct {
	protocols []parse.Protocol
	limits    parse.Limits
	udp       bool

	parser  parse.Parser
	memory  parse.Memory
	tail    [2][]byte // what the parser left
	seen    time.Time
	inside  bool // a method of the parser runs
	over    bool // the parser gave up, or became something that is not there
	next    *parse.Protocol
	upgrade *parse.Upgrade
	became  bool
	said    []func() string // lines of the playbook, made at the end: an event must not change once it was emitted
	bodies  []event.Body
	broken  error // the first breach of contract
}

func newConn(p parse.Protocol, more []parse.Protocol, limits parse.Limits) *conn {
	c := &conn{protocols: append([]parse.Protocol{p}, more...), limits: limits, udp: p.Proto == flow.UDP, seen: start}
	c.memory = parse.NewBudget(budget).Memory()
	c.open(&p, nil)
	return c
}

func (c *conn) open(p *parse.Protocol, upgrade *parse.Upgrade) {
	c.parser = p.New(parse.Output{
		Emit:      func(b event.Body) { c.emit(b) },
		Anomaly:   func(code string) { c.emit(&event.Anomaly{Code: code}) },
		Become:    c.become,
		Expect:    c.expect,
		Upgrade:   upgrade,
		Seen:      func() time.Time { return c.seen },
		Exhausted: func() bool { return false },
		Limits:    c.limits,
		Memory:    &c.memory,
	})
}

// play replays the steps and ends the connection. The error is a breach of the contract of parse.Parser.
func (c *conn) play(steps []Step) error {
	for i, s := range steps {
		c.seen = start.Add(time.Duration(s.At) * time.Millisecond)
		if s.IsGap {
			c.gap(s.Dir, s.Gap)
		} else {
			c.data(s.Dir, s.Data)
		}
		if c.broken != nil {
			c.broken = fmt.Errorf("step %d (%s, %d bytes): %w", i+1, s.Dir, len(s.Data), c.broken)
		}
		if c.over || c.broken != nil {
			break
		}
	}
	c.end()
	return c.broken
}

// data offers b behind what the parser left, unless it is a datagram. What was offered is overwritten afterwards: it was
// valid until Parse returned.
func (c *conn) data(dir flow.Direction, b []byte) {
	b = slices.Clip(slices.Concat(c.tail[dir], b))
	n, gaveUp := 0, error(nil)
	c.call(func() { n, gaveUp = c.parser.Parse(dir, b) })
	switch {
	case c.broken != nil:
		return
	case n < 0 || n > len(b):
		c.breach("consumed %d of %d bytes", n, len(b))
		return
	}
	if !c.udp {
		c.tail[dir] = slices.Clone(b[n:])
	}
	for i := range b {
		b[i] = poison
	}
	if c.after(gaveUp); !c.over && len(c.tail[dir]) > c.limits.Header {
		c.breach("left %d bytes, at most %d may be left", len(c.tail[dir]), c.limits.Header)
	}
}

func (c *conn) gap(dir flow.Direction, n int) {
	c.tail[dir] = nil
	var gaveUp error
	c.call(func() { gaveUp = c.parser.Gap(dir, n) })
	c.after(gaveUp)
}

// after does what the parser asked for in the last call.
func (c *conn) after(gaveUp error) {
	switch {
	case c.broken != nil:
	case gaveUp != nil:
		c.said = append(c.said, func() string { return gaveUpLine(gaveUp) })
		c.over = true
	case c.became:
		c.end()
		c.became = false
		if c.over = c.next == nil; c.over {
			return
		}
		c.open(c.next, c.upgrade)
		tail := c.tail
		c.tail = [2][]byte{}
		for dir, b := range tail {
			if len(b) > 0 && !c.over {
				c.data(flow.Direction(dir), b)
			}
		}
	}
}

func (c *conn) end() {
	if c.parser != nil {
		c.call(c.parser.End)
		c.parser = nil
		if n := c.memory.Held(); n != 0 {
			c.breach("%d bytes were not given back", n)
		}
	}
}

// call runs a method of the parser.
func (c *conn) call(method func()) {
	c.inside = true
	defer func() {
		c.inside = false
		if r := recover(); r != nil {
			c.breach("panic: %v\n%s", r, debug.Stack())
		}
	}()
	method()
}

func (c *conn) emit(b event.Body) {
	if !c.inside {
		c.breach("emitted outside of its methods")
	}
	c.checkKept(b)
	c.bodies = append(c.bodies, b)
	c.said = append(c.said, func() string { return eventLine(b) })
}

func (c *conn) become(name string, upgrade *parse.Upgrade) {
	if !c.inside {
		c.breach("became %q outside of its methods", name)
	}
	c.said = append(c.said, func() string { return becomeLine(name, upgrade) })
	c.became, c.next, c.upgrade = true, nil, upgrade
	for i := range c.protocols {
		if name != "" && c.protocols[i].Name == name {
			c.next = &c.protocols[i]
		}
	}
}

func (c *conn) expect(at parse.Listener, name string, _ *parse.Upgrade) {
	if !c.inside {
		c.breach("expected %q outside of its methods", name)
	}
	c.said = append(c.said, func() string { return expectLine(at, name) })
}

// lines returns what the parser said.
func (c *conn) lines() []string {
	var lines []string
	for _, line := range c.said {
		lines = append(lines, line())
	}
	return lines
}

func (c *conn) breach(format string, args ...any) {
	if c.broken == nil {
		c.broken = fmt.Errorf(format, args...)
	}
}
