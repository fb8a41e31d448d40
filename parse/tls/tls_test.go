package tls

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
func FuzzTLS(f *testing.F)       { parsetest.Fuzz(f, "testdata", Protocol) }

func TestLinear(t *testing.T) {
	for name, record := range map[string]string{
		"empty records":         "\x17\x03\x03\x00\x00",
		"one message in crumbs": "\x16\x03\x01\x00\x01\x01",
		"many messages":         "\x16\x03\x01\x00\x08\x02\x00\x00\x00\x0e\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			parsetest.Linear(t, Protocol, func(n int) []parsetest.Step {
				var all []byte
				for len(all) < n {
					all = append(all, record...)
				}
				return parsetest.Steps(flow.ToServer, all)
			})
		})
	}
}

func TestProbe(t *testing.T) {
	hello := "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"
	for _, tc := range []struct {
		name string
		dir  flow.Direction
		b    string
		want parse.Match
	}{
		{"client hello", flow.ToServer, hello, parse.Yes},
		{"short", flow.ToServer, hello[:7], parse.Maybe},
		{"server hello", flow.ToClient, "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", parse.Yes},
		{"server hello from the client", flow.ToServer, "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", parse.No},
		{"application data", flow.ToServer, "\x17\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", parse.No},
		{"version 4", flow.ToServer, "\x16\x04\x01\x00\xc8\x01\x00\x00\xc4\x03\x03", parse.No},
		{"record too long", flow.ToServer, "\x16\x03\x01\xff\xff\x01\x00\x00\xc4\x03\x03", parse.No},
		{"record too short", flow.ToServer, "\x16\x03\x01\x00\x04\x01\x00\x00\xc4\x03\x03", parse.No},
		{"another message", flow.ToServer, "\x16\x03\x01\x00\xc8\x0b\x00\x00\xc4\x03\x03", parse.No},
		{"message too long", flow.ToServer, "\x16\x03\x01\x00\xc8\x01\x01\x00\xc4\x03\x03", parse.No},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Protocol.Probe(tc.dir, []byte(tc.b)); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestHandshakeIsBounded(t *testing.T) {
	var codes []string
	out := parse.Output{
		Emit: func(event.Body) {}, Anomaly: func(code string) { codes = append(codes, code) },
		Seen: func() time.Time { return time.Time{} }, Limits: parse.DefaultLimits,
	}
	p := Protocol.New(out)
	record := append([]byte("\x16\x03\x01\x40\x00"), make([]byte, 16<<10)...) // messages of no length
	for range 1000 {
		if n, err := p.Parse(flow.ToServer, record); n != len(record) || err != nil {
			t.Fatalf("consumed %d of %d bytes, %v", n, len(record), err)
		}
	}
	if len(codes) != 1 || codes[0] != tooLong {
		t.Errorf("got anomalies %q, want %q once", codes, tooLong)
	}
}

// record is application data of a connection that nobody decrypts.
var record = append([]byte("\x17\x03\x03\x10\x00"), make([]byte, 4096)...)

func newParser() parse.Parser {
	return Protocol.New(parse.Output{Emit: func(event.Body) {}, Anomaly: func(string) {}, Limits: parse.DefaultLimits})
}

func TestNoAllocations(t *testing.T) {
	p := newParser()
	if n := testing.AllocsPerRun(1000, func() { _, _ = p.Parse(flow.ToClient, record) }); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

func BenchmarkRecords(b *testing.B) {
	p := newParser()
	b.SetBytes(int64(len(record)))
	for b.Loop() {
		_, _ = p.Parse(flow.ToClient, record)
	}
}
