package inspect

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// heard keeps what is offered, in the order in which it is.
type heard struct {
	out  parse.Output
	said strings.Builder
}

func (h *heard) Parse(dir flow.Direction, b []byte) (int, error) {
	h.said.WriteString(map[flow.Direction]string{toS: ">", toC: "<"}[dir] + string(b))
	return len(b), nil
}

func (h *heard) Gap(flow.Direction, int) error { return nil }
func (h *heard) End()                          { h.out.Emit(&event.HTTP{URL: h.said.String()}) }

// TestRecognitionKeepsTheOrder has a protocol that shows late: what was said until then is told in the order in which it was.
func TestRecognitionKeepsTheOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		steps []step
		want  string
	}{
		"the server begins": {[]step{{toC, "a"}, {toS, "b"}, {toC, "c"}, {toS, "d!"}, {toC, "e"}}, "<a>b<c>d!<e"},
		"the client begins": {[]step{{toS, "a"}, {toS, "b"}, {toC, "c"}, {toC, "d"}, {toS, "e"}, {toC, "!"}}, ">ab<cd>e<!"},
		"many turns":        {append(turns(40), step{toS, "!"}, step{toC, "z"}), strings.Repeat(">a<b", maxTurns/2-1) + ">" + strings.Repeat("a", 40-maxTurns/2+1) + "!<" + strings.Repeat("b", 40-maxTurns/2+1) + "<z"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			i := New(Config{
				Protocols: []parse.Protocol{{
					Name: "heard", New: func(o parse.Output) parse.Parser { return &heard{out: o} },
					Probe: func(_ flow.Direction, b []byte) parse.Match {
						if strings.Contains(string(b), "!") {
							return parse.Yes
						}
						return parse.Maybe
					},
				}},
				Unknown: parse.Protocol{Name: "unknown", New: func(o parse.Output) parse.Parser { return &nothing{o} }},
				Limits:  parse.DefaultLimits, Time: time.Second,
				Emit: func(e *event.Event) {
					if h, ok := e.Body.(*event.HTTP); ok {
						got = h.URL
					}
				},
			})
			s := i.Open(flow.NewConn(0, flow.Tuple{Proto: flow.TCP}, time.Unix(0, 0)))
			for _, st := range tt.steps {
				s.Data(st.dir, time.Unix(1, 0), []byte(st.data))
			}
			s.Close(time.Unix(2, 0))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// turns are n of each side.
func turns(n int) (steps []step) {
	for range n {
		steps = append(steps, step{toS, "a"}, step{toC, "b"})
	}
	return steps
}
