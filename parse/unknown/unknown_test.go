package unknown

import (
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) { parsetest.Run(t, "testdata", Protocol) }
func TestLoss(t *testing.T)      { parsetest.Loss(t, "testdata", Protocol) }
func FuzzUnknown(f *testing.F)   { parsetest.Fuzz(f, "testdata", Protocol) }

func TestLinear(t *testing.T) {
	parsetest.Linear(t, Protocol, func(n int) []parsetest.Step { return parsetest.Steps(flow.ToServer, make([]byte, n)) })
}

func TestNothingIsRecognised(t *testing.T) {
	for _, b := range []string{"", "x", "SSH-2.0-x\r\n"} {
		if got := Protocol.Probe(flow.ToServer, []byte(b)); got != parse.No {
			t.Errorf("probe of %q: got %d, want No", b, got)
		}
	}
}

// newParser returns a parser that has seen more than it keeps.
func newParser() parse.Parser {
	p := Protocol.New(parse.Output{Emit: func(event.Body) {}, Seen: func() time.Time { return time.Time{} }, Limits: parse.DefaultLimits})
	_, _ = p.Parse(flow.ToServer, make([]byte, 2*kept))
	return p
}

func TestNoAllocations(t *testing.T) {
	p, b := newParser(), make([]byte, 1400)
	if n := testing.AllocsPerRun(1000, func() { _, _ = p.Parse(flow.ToServer, b) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

func BenchmarkParse(b *testing.B) {
	p, data := newParser(), make([]byte, 1400)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		_, _ = p.Parse(flow.ToServer, data)
	}
}
