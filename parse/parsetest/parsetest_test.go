package parsetest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// lines is a protocol whose transactions are lines. Its functions are replaced to break the contract.
type lines struct {
	out   parse.Output
	parse func(l *lines, dir flow.Direction, b []byte) (int, error)
}

func (l *lines) Parse(dir flow.Direction, b []byte) (int, error) { return l.parse(l, dir, b) }
func (l *lines) Gap(flow.Direction, int) error                   { return nil }
func (l *lines) End()                                            {}

func protocol(f func(l *lines, dir flow.Direction, b []byte) (int, error)) parse.Protocol {
	return parse.Protocol{
		Name:  "lines",
		Probe: func(flow.Direction, []byte) parse.Match { return parse.Yes },
		New:   func(out parse.Output) parse.Parser { return &lines{out: out, parse: f} },
	}
}

// proper emits each line, becomes what a line "become X" says, gives up at "give up" and calls "odd" an anomaly.
func proper(l *lines, _ flow.Direction, b []byte) (int, error) {
	n := 0
	for {
		line, _, ok := bytes.Cut(b[n:], []byte("\n"))
		if !ok {
			return n, nil
		}
		n += len(line) + 1
		name, isBecome := bytes.CutPrefix(line, []byte("become "))
		switch {
		case isBecome:
			l.out.Become(string(name), &parse.Upgrade{Host: "a.example"})
			return n, nil
		case string(line) == "give up":
			return n, parse.ErrGiveUp
		case string(line) == "odd":
			l.out.Anomaly("lines_odd")
		default:
			l.out.Emit(&event.Unknown{ToServer: bytes.Clone(line)})
		}
	}
}

func TestPlaybooksOfAProperParser(t *testing.T) {
	p := protocol(proper)
	Run(t, "testdata", p, p)
	Loss(t, "testdata", p, p)
}

func TestLinearParserPasses(t *testing.T) {
	Linear(t, protocol(proper), func(n int) []Step {
		return Steps(flow.ToServer, bytes.Repeat([]byte("a line of text\n"), n/15))
	})
}

func FuzzProperParser(f *testing.F) {
	p := protocol(proper)
	Fuzz(f, "testdata", p, p)
}

func TestBreachesAreFound(t *testing.T) {
	for _, c := range []struct {
		name, want string
		parse      func(l *lines, dir flow.Direction, b []byte) (int, error)
	}{
		{"consumes too much", "consumed 6 of 5 bytes", func(_ *lines, _ flow.Direction, b []byte) (int, error) { return len(b) + 1, nil }},
		{"consumes less than nothing", "consumed -1", func(*lines, flow.Direction, []byte) (int, error) { return -1, nil }},
		{"panics", "panic: oh", func(*lines, flow.Direction, []byte) (int, error) { panic("oh") }},
		{"leaves too much", "at most 4 may be left", func(*lines, flow.Direction, []byte) (int, error) { return 0, nil }},
		{"keeps too much", "keeps 5 bytes", func(l *lines, _ flow.Direction, b []byte) (int, error) {
			l.out.Emit(&event.Unknown{ToServer: bytes.Clone(b)})
			return len(b), nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := parse.Limits{Header: 4, Body: 4}
			err := newConn(protocol(c.parse), nil, limits).play(Steps(flow.ToServer, []byte("abcde")))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestBytesAreOverwrittenOnceTheyAreNoLongerValid(t *testing.T) {
	c := newConn(protocol(func(l *lines, _ flow.Direction, b []byte) (int, error) {
		l.out.Emit(&event.Unknown{ToServer: b})
		return len(b), nil
	}), nil, parse.DefaultLimits)
	if err := c.play(Steps(flow.ToServer, []byte("abcde"))); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.lines(), "\n"); strings.Contains(got, "abcde") {
		t.Errorf("an event that keeps the bytes offered still reads %s", got)
	}
}

func TestEndIsCalledOnceWhateverHappened(t *testing.T) {
	for name, f := range map[string]func(*lines) (int, error){
		"plain":   func(*lines) (int, error) { return 1, nil },
		"gave up": func(*lines) (int, error) { return 1, errors.New("no") },
		"panic":   func(*lines) (int, error) { panic("oh") },
		"became":  func(l *lines) (int, error) { l.out.Become("", nil); return 1, nil },
	} {
		t.Run(name, func(t *testing.T) {
			ends := 0
			p := protocol(func(l *lines, _ flow.Direction, _ []byte) (int, error) { return f(l) })
			inner := p.New
			p.New = func(out parse.Output) parse.Parser { return &counting{inner(out), &ends} }
			_ = newConn(p, nil, parse.DefaultLimits).play(Steps(flow.ToServer, []byte("a"), []byte("b")))
			if ends != 1 {
				t.Errorf("End was called %d times", ends)
			}
		})
	}
}

type counting struct {
	parse.Parser
	ends *int
}

func (c *counting) End() { *c.ends++ }

func TestScheduleAndFollowAreInverse(t *testing.T) {
	b, err := readPlaybook(filepath.Join("testdata", "forms.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.Steps, follow(schedule(b.Steps))); diff != "" {
		t.Errorf("steps differ (-want +got):\n%s", diff)
	}
}

func TestMalformedScriptsAreErrors(t *testing.T) {
	for _, script := range []string{"what", "> \\q", ">hex 0", ">repeat x a", ">file none", ">zip a", "+ a", "gap > x", "gap 5", "gap > 1\n+ a"} {
		file := filepath.Join(t.TempDir(), "a.txtar")
		if err := os.WriteFile(file, []byte(script+"\n-- want --\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readPlaybook(file); err == nil {
			t.Errorf("%q is no error", script)
		}
	}
}
