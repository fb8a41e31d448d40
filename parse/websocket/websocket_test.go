package websocket

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/http1"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) { parsetest.Run(t, "testdata", http1.Protocol, Protocol) }

func TestLosses(t *testing.T) { parsetest.Loss(t, "testdata", http1.Protocol, Protocol) }

func FuzzParse(f *testing.F) { parsetest.Fuzz(f, "testdata", http1.Protocol, Protocol) }

func TestCostIsLinear(t *testing.T) {
	for name, c := range map[string]struct {
		dir  flow.Direction
		unit string
	}{
		"empty frames":      {flow.ToClient, "\x82\x00"},
		"pings":             {flow.ToServer, "\x89\x84maskping"},
		"fragments":         {flow.ToClient, "\x00\x01a"},
		"masked messages":   {flow.ToServer, "\x81\xfe\x01\x00mask" + strings.Repeat("a", 256)},
		"deflated messages": {flow.ToClient, "\xc1\x07\xca\x48\xcd\xc9\xc9\x07\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			parsetest.Linear(t, Protocol, func(n int) []parsetest.Step {
				return parsetest.Steps(c.dir, []byte("\x01\x00"), []byte(strings.Repeat(c.unit, n/len(c.unit))))
			})
		})
	}
}

// output returns an Output that counts events.
func output(events *int) parse.Output {
	return parse.Output{
		Emit: func(event.Body) { *events++ }, Anomaly: func(string) {}, Become: func(string, *parse.Upgrade) {},
		Seen: func() time.Time { return time.UnixMilli(1) }, Exhausted: func() bool { return false }, Limits: parse.DefaultLimits,
	}
}

func TestPayloadCostsNoAllocation(t *testing.T) {
	piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	for name, c := range map[string]struct {
		dir    flow.Direction
		header string
	}{
		"masked":   {flow.ToServer, "\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00mask"},
		"unmasked": {flow.ToClient, "\x82\x7f\x00\x00\x00\x00\x40\x00\x00\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			events := 0
			p := newParser(output(&events))
			feed := func(b []byte) {
				if n, err := p.Parse(c.dir, b); n != len(b) || err != nil {
					t.Fatalf("consumed %d of %d bytes: %v", n, len(b), err)
				}
			}
			feed([]byte(c.header))
			for range 8 { // fills what is kept of the message
				feed(piece)
			}
			if n := testing.AllocsPerRun(1000, func() { feed(piece) }); n > 0 {
				t.Errorf("%v allocations a piece", n)
			}
			if p.End(); events != 1 {
				t.Errorf("%d events, want 1", events)
			}
		})
	}
}

func BenchmarkUpload(b *testing.B) {
	piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	events := 0
	p := newParser(output(&events))
	_, _ = p.Parse(flow.ToServer, []byte("\x82\xff\x7f\x00\x00\x00\x40\x00\x00\x00mask"))
	b.SetBytes(int64(len(piece)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Parse(flow.ToServer, piece)
	}
}
