package filter

import (
	"slices"
	"unicode/utf8"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Verdict is what becomes of a process.
type Verdict uint8

const (
	Take Verdict = iota // all its connections
	Drop                // none
	Ask                 // that depends on the connection: see Decision.Conn
)

func (v Verdict) String() string {
	return [...]string{"take", "drop", "ask"}[v]
}

// Filter is a set of compiled rules. It does not change, so that any number of goroutines may use it; other rules are another Filter.
type Filter struct {
	mode  Mode
	rules []compiled
}

// Decision is what a Filter says of one process.
type Decision struct {
	Verdict    Verdict
	conditions []condition // of the rules that fit the process. Valid iff the Verdict is Ask
	except     bool        // a connection that fits one of them is left out, else taken
}

// Process decides about a process by everything that can be known of it; c is nil on the host itself. Ask again when the process runs
// another program, or more is known of its container.
func (f *Filter) Process(p *flow.Process, c *flow.Container) Decision {
	fits, misses := Take, Drop
	if f.mode != Only {
		fits, misses = Drop, Take
	}
	var conditions []condition
	for _, r := range f.rules {
		if !r.fits(p, c) {
			continue
		}
		if r.condition.empty() {
			return Decision{Verdict: fits}
		}
		conditions = append(conditions, r.condition)
	}
	if len(conditions) == 0 {
		return Decision{Verdict: misses}
	}
	return Decision{Verdict: Ask, conditions: conditions, except: f.mode == Except}
}

// Conn tells whether a connection of the process is taken, given the port of its server side, 0 if unknown, and which side the process
// is. In doubt it is not.
func (d Decision) Conn(port uint16, dir Direction) bool {
	if d.Verdict != Ask {
		return d.Verdict == Take
	}
	fits := slices.ContainsFunc(d.conditions, func(c condition) bool { return c.fits(port, dir, d.except) })
	return fits != d.except
}

// condition is what a rule says of connections.
type condition struct {
	ports     []portRange // any, if there are none
	direction Direction
}

func (c condition) empty() bool { return len(c.ports) == 0 && c.direction == "" }

// fits takes what is unknown for doubt.
func (c condition) fits(port uint16, dir Direction, doubt bool) bool {
	if c.direction != "" && c.direction != dir && (dir != "" || !doubt) {
		return false
	}
	in := func(r portRange) bool { return r.first <= port && port <= r.last }
	return len(c.ports) == 0 || slices.ContainsFunc(c.ports, in) || port == 0 && doubt
}

// compiled is one rule.
type compiled struct {
	pid, uid  int // 0 and -1 fit any
	texts     []textRule
	condition condition
}

type textRule struct {
	of   subject
	glob glob
}

func (r *compiled) fits(p *flow.Process, c *flow.Container) bool {
	if r.pid != 0 && r.pid != p.PID || r.uid >= 0 && r.uid != p.UID {
		return false
	}
	return !slices.ContainsFunc(r.texts, func(t textRule) bool { return !t.glob.fits(t.of(p, c)) })
}

// subject is a text of a process. What is not known is empty.
type subject func(p *flow.Process, c *flow.Container) string

func ofExe(p *flow.Process, _ *flow.Container) string         { return p.Exe }
func ofName(p *flow.Process, _ *flow.Container) string        { return p.Name }
func ofCommandLine(p *flow.Process, _ *flow.Container) string { return p.CommandLine }

func ofImage(_ *flow.Process, c *flow.Container) string {
	if c == nil {
		return ""
	}
	return c.Image
}

func ofNamespace(_ *flow.Process, c *flow.Container) string {
	if c == nil {
		return ""
	}
	return c.Namespace
}

// glob is a pattern with * and ?.
type glob []rune

// fits never takes a fact that is unknown for one that anything goes with: "*" fits every text but the empty one. Only the last * that was
// met is ever tried again: what an earlier one stands for might as well be as short as it can. So the time grows linearly with the text.
func (g glob) fits(text string) bool {
	if text == "" {
		return false
	}
	at, star, again := 0, -1, 0 // in the pattern; its last *, and where in the text to try that again
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case at < len(g) && g[at] == '*':
			star, again = at, i
			at++
		case at < len(g) && (g[at] == '?' || g[at] == r):
			at++
			i += size
		case star >= 0:
			_, size = utf8.DecodeRuneInString(text[again:])
			again += size
			at, i = star+1, again
		default:
			return false
		}
	}
	return !slices.ContainsFunc(g[at:], func(r rune) bool { return r != '*' })
}
