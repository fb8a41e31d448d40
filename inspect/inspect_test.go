package inspect

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// lines is a protocol for this test: after "LINES\n" each line is a transaction. Some words have a meaning.
type lines struct{ out parse.Output }

func (l *lines) Parse(dir flow.Direction, b []byte) (int, error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return 0, nil
	}
	switch word := string(b[:i]); word {
	case "panic":
		panic("asked for")
	case "stop":
		return i + 1, parse.ErrGiveUp
	case "become":
		l.out.Become("other", &parse.Upgrade{Host: "h"})
	case "anew":
		l.out.Become("", nil)
	default:
		l.out.Emit(&event.HTTP{Method: dir.String(), URL: word})
	}
	return i + 1, nil
}

func (l *lines) Gap(_ flow.Direction, n int) error {
	l.out.Emit(&event.HTTP{Method: "gap", URL: fmt.Sprint(n)})
	return nil
}

func (l *lines) End() { l.out.Emit(&event.HTTP{Method: "end"}) }

// first recognises streams that begin with the word.
func first(word string) func(flow.Direction, []byte) parse.Match {
	return func(_ flow.Direction, b []byte) parse.Match {
		n := min(len(b), len(word))
		switch {
		case string(b[:n]) != word[:n]:
			return parse.No
		case n < len(word):
			return parse.Maybe
		}
		return parse.Yes
	}
}

type nothing struct{ out parse.Output }

func (u *nothing) Parse(_ flow.Direction, b []byte) (int, error) { return len(b), nil }
func (u *nothing) Gap(flow.Direction, int) error                 { return nil }
func (u *nothing) End()                                          { u.out.Emit(&event.Unknown{}) }

// step is one call of a Stream. Without data it is a gap, or an empty datagram.
type step struct {
	dir  flow.Direction
	data string
}

const (
	toS = flow.ToServer
	toC = flow.ToClient
)

func run(t *testing.T, proto flow.Proto, steps ...step) ([]string, Stats) {
	t.Helper()
	var got []string
	i := New(Config{
		Protocols: []parse.Protocol{
			{Name: "lines", Probe: first("LINES\n"), New: func(o parse.Output) parse.Parser { return &lines{o} }},
			{Name: "other", Probe: first("OTHER\n"), New: func(o parse.Output) parse.Parser { return &lines{o} }},
		},
		Unknown: parse.Protocol{Name: "unknown", New: func(o parse.Output) parse.Parser { return &nothing{o} }},
		Limits:  parse.DefaultLimits, Time: time.Second,
		Emit: func(e *event.Event) {
			r := e.Record()
			switch {
			case r.HTTP != nil:
				got = append(got, e.Proto+" "+r.HTTP.Method+" "+r.HTTP.URL)
			case r.Anomaly != nil:
				got = append(got, e.Proto+" anomaly "+r.Anomaly.Code)
			case r.Conn != nil:
				got = append(got, fmt.Sprint("conn ", r.Conn.Protocols, " ", r.Conn.PlaintextBytes))
			default:
				got = append(got, string(r.Kind))
			}
		},
	})
	s := i.Open(flow.NewConn(0, flow.Tuple{Proto: proto}, time.Unix(0, 0)))
	for _, st := range steps {
		if st.data == "" && proto == flow.TCP {
			s.Gap(st.dir, time.Unix(1, 0), 5)
		} else {
			s.Data(st.dir, time.Unix(1, 0), []byte(st.data))
		}
	}
	s.Close(time.Unix(2, 0))
	return got, i.Stats()
}

func TestStream(t *testing.T) {
	tests := map[string]struct {
		steps []step
		want  []string
	}{
		"recognised at once": {
			[]step{{toS, "LINES\nab"}, {toC, "x\n"}, {toS, "c\n"}},
			[]string{"lines to_server LINES", "lines to_client x", "lines to_server abc", "lines end ", "conn [lines] 12"},
		},
		"recognised by the server, late": {
			[]step{{toS, "LI"}, {toC, "LIN"}, {toC, "ES\n"}, {toS, "\n"}},
			[]string{"lines to_client LINES", "lines to_server LI", "lines end ", "conn [lines] 9"},
		},
		"unknown": {
			[]step{{toS, "hello"}, {toC, "world"}},
			[]string{"unknown", "conn [unknown] 10"},
		},
		"nothing was said": {nil, []string{"conn [] 0"}},
		"gap": {
			[]step{{toS, "LINES\nab"}, {toS, ""}, {toS, "c\n"}},
			[]string{"lines to_server LINES", "lines gap 5", "lines to_server c", "lines end ", "conn [lines] 10"},
		},
		"gap before anything": {
			[]step{{toS, ""}, {toS, "LINES\n"}},
			[]string{"lines to_server LINES", "lines end ", "conn [lines] 6"},
		},
		"gap while recognising": {
			[]step{{toS, "LINE"}, {toS, ""}, {toS, "LINES\n"}},
			[]string{"unknown", "conn [unknown] 10"},
		},
		"becomes another": {
			[]step{{toS, "LINES\nbecome\nx\n"}, {toC, "y\n"}},
			[]string{"lines to_server LINES", "lines end ", "other to_server x", "other to_client y", "other end ", "conn [lines other] 17"},
		},
		"recognised anew": {
			[]step{{toS, "LINES\nanew\nOTH"}, {toS, "ER\n"}},
			[]string{"lines to_server LINES", "lines end ", "other to_server OTHER", "other end ", "conn [lines other] 17"},
		},
		"gives up": {
			[]step{{toS, "LINES\nstop\nx\n"}, {toC, "y\n"}},
			[]string{"lines to_server LINES", "lines anomaly lines_gave_up", "lines end ", "conn [lines] 15"},
		},
		"panics": {
			[]step{{toS, "LINES\npanic\nx\n"}, {toC, "y\n"}},
			[]string{"lines to_server LINES", "lines anomaly parser_panic", "lines end ", "conn [lines] 16"},
		},
		"waits for more than it may keep": {
			[]step{{toS, "LINES\n"}, {toS, string(make([]byte, 2*parse.DefaultLimits.Header+1))}, {toS, "x\n"}},
			[]string{"lines to_server LINES", "lines anomaly lines_message_too_long", "lines end ", "conn [lines] 524297"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, stats := run(t, flow.TCP, tt.steps...)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			unknown := uint64(0)
			if slices.Contains(got, "unknown") {
				unknown = 1
			}
			if stats.Unknown != unknown {
				t.Errorf("%d unknown streams were counted, want %d", stats.Unknown, unknown)
			}
			if stats.Events != uint64(len(got)) {
				t.Errorf("%d events were counted, %d came", stats.Events, len(got))
			}
		})
	}
}

func TestDatagramsStandAlone(t *testing.T) {
	got, _ := run(t, flow.UDP, step{toS, "LINES\n"}, step{toS, "half"}, step{toS, "whole\nrest"}, step{toC, "x\n"})
	want := []string{"lines to_server LINES", "lines to_server whole", "lines to_client x", "lines end ", "conn [lines] 22"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDatagramsBeforeTheFirstKnownOneDoNotHideIt sends what a tunnel would begin with so that nobody looks at the rest.
func TestDatagramsBeforeTheFirstKnownOneDoNotHideIt(t *testing.T) {
	tests := map[string]struct {
		steps []step
		want  []string
	}{
		"empty": {
			[]step{{toS, ""}, {toS, "LINES\n"}, {toS, ""}, {toC, "x\n"}},
			[]string{"lines to_server LINES", "lines to_client x", "lines end ", "conn [lines] 8"},
		},
		"another protocol": {
			[]step{{toS, "L"}, {toC, "?"}, {toS, "LINES\n"}, {toC, "x\n"}},
			[]string{"unknown", "lines to_server LINES", "lines to_client x", "lines end ", "conn [unknown lines] 10"},
		},
		"nothing known comes": {
			[]step{{toS, "L"}, {toS, "?"}, {toS, "LIN"}},
			[]string{"unknown", "conn [unknown] 5"},
		},
		"nothing but empty": {[]step{{toS, ""}}, []string{"conn [] 0"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, stats := run(t, flow.UDP, tt.steps...)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if unknown := slices.Contains(got, "unknown"); unknown != (stats.Unknown == 1) {
				t.Errorf("%d unknown streams were counted", stats.Unknown)
			}
		})
	}
}

func TestDataDoesNotAllocate(t *testing.T) {
	i := New(Config{
		Protocols: []parse.Protocol{{Name: "x", Probe: first("x"), New: func(o parse.Output) parse.Parser { return &nothing{o} }}},
		Limits:    parse.DefaultLimits, Emit: func(*event.Event) {},
	})
	s := i.Open(flow.NewConn(0, flow.Tuple{Proto: flow.TCP}, time.Unix(0, 0)))
	b, at := bytes.Repeat([]byte{'x'}, 1400), time.Unix(1, 0)
	if n := testing.AllocsPerRun(1000, func() { s.Data(toS, at, b) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}
