package filter

import (
	"regexp"
	"slices"
	"strings"

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

// glob is a pattern with * and ?. Package regexp takes time that grows linearly with the text, whatever is in it.
type glob struct{ pattern *regexp.Regexp }

// newGlob takes valid UTF-8.
func newGlob(pattern string) glob {
	quoted := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	return glob{regexp.MustCompile("(?s)^" + quoted + "$")}
}

// fits never takes a fact that is unknown for one that anything goes with: "*" fits every text but the empty one.
func (g glob) fits(text string) bool { return text != "" && g.pattern.MatchString(text) }
