package http2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) { parsetest.Run(t, "testdata", Protocol) }
func TestLoss(t *testing.T)      { parsetest.Loss(t, "testdata", Protocol) }
func FuzzHTTP2(f *testing.F)     { parsetest.Fuzz(f, "testdata", Protocol) }

// frameBytes returns a frame.
func frameBytes(typ, flags byte, stream uint32, payload string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))[1:]
	b = append(b, typ, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

// get asks for / of the host a.
const get = "\x82\x84\x87\x01\x01a"

func TestLinear(t *testing.T) {
	repeated := func(f func(i int) []byte) func(n int) []parsetest.Step {
		return func(n int) []parsetest.Step {
			all := []byte(preface)
			for i := 0; len(all) < n; i++ {
				all = append(all, f(i)...)
			}
			return parsetest.Steps(flow.ToServer, all)
		}
	}
	insert := strings.Repeat("\x40\x01a\x00", 4000) // each entry drops one of the table
	bomb := get + "\x40\x01a\x7f\xe1\x1c" + strings.Repeat("b", 3808) + strings.Repeat("\xbe", 8000)
	for name, conversation := range map[string]func(n int) []parsetest.Step{
		"streams": repeated(func(i int) []byte { return frameBytes(typeHeaders, flagEndHeaders|flagEndStream, uint32(2*i+1), get) }),
		"streams reset": repeated(func(i int) []byte {
			id := uint32(2*i + 1)
			return append(frameBytes(typeHeaders, flagEndHeaders|flagEndStream, id, get), frameBytes(typeReset, 0, id, "\x00\x00\x00\x08")...)
		}),
		"data of one byte": repeated(func(int) []byte { return frameBytes(typeData, 0, 1, "x") }),
		"table":            repeated(func(i int) []byte { return frameBytes(typeHeaders, flagEndHeaders, uint32(2*i+1), insert) }),
		"hpack bomb":       repeated(func(i int) []byte { return frameBytes(typeHeaders, flagEndHeaders, uint32(2*i+1), bomb) }),
		"continuation":     repeated(func(i int) []byte { return frameBytes(byte(min(i, 1))*8+1, 0, 1, "\x00\x01a\x00") }),
		"search after a gap": func(n int) []parsetest.Step {
			// Each might be a frame; only the next one shows that it is none.
			bogus := bytes.Repeat([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x00 not so "), n/17)
			return append([]parsetest.Step{{IsGap: true}}, parsetest.Steps(flow.ToServer, bogus)...)
		},
	} {
		t.Run(name, func(t *testing.T) { parsetest.Linear(t, Protocol, conversation) })
	}
}

// output counts events by kind and remembers anomalies. Its time is now.
type output struct {
	now   time.Time
	kinds map[event.Kind]int
	codes map[string]int
	last  *event.HTTP
}

func (o *output) parser(limits parse.Limits) parse.Parser { return o.judged(limits, nil) }

func (o *output) judged(limits parse.Limits, judge parse.Judge) parse.Parser {
	o.kinds, o.codes = map[event.Kind]int{}, map[string]int{}
	return Protocol.New(parse.Output{
		Emit: func(b event.Body) {
			o.kinds[b.Kind()]++
			if h, ok := b.(*event.HTTP); ok {
				o.last = h
			}
		},
		Anomaly: func(code string) { o.codes[code]++ }, Become: func(string, *parse.Upgrade) {},
		Seen: func() time.Time { return o.now }, Exhausted: func() bool { return false }, Limits: limits, Judge: judge,
	})
}

func feed(t testing.TB, p parse.Parser, dir flow.Direction, b []byte) {
	t.Helper()
	if n, err := p.Parse(dir, b); n != len(b) || err != nil {
		t.Fatalf("consumed %d of %d bytes, %v", n, len(b), err)
	}
}

func TestOldestStreamIsGivenUp(t *testing.T) {
	var o output
	limits := parse.DefaultLimits
	limits.Open = 3
	p := o.parser(limits)
	feed(t, p, flow.ToServer, []byte(preface))
	for i := range 5 {
		feed(t, p, flow.ToServer, frameBytes(typeHeaders, flagEndHeaders|flagEndStream, uint32(2*i+1), get))
	}
	if o.kinds[event.KindHTTP] != 2 || o.last.Stream != 3 || o.last.State != event.Truncated || o.codes[tooManyStreams] != 2 {
		t.Errorf("got %d events, the last %+v, anomalies %v", o.kinds[event.KindHTTP], o.last, o.codes)
	}
}

// TestResetStreamsLinger resets more streams than are kept, and lets the time of the others pass.
func TestResetStreamsLinger(t *testing.T) {
	o := output{now: time.Unix(1, 0)}
	p := o.parser(parse.DefaultLimits)
	feed(t, p, flow.ToServer, []byte(preface))
	for i := range maxLingering + 3 {
		id := uint32(2*i + 1)
		feed(t, p, flow.ToServer, frameBytes(typeHeaders, flagEndHeaders|flagEndStream, id, get))
		feed(t, p, flow.ToServer, frameBytes(typeReset, 0, id, "\x00\x00\x00\x08"))
	}
	if got := o.kinds[event.KindHTTP]; got != 3 || o.last.State != event.Truncated {
		t.Errorf("gave up %d streams, the last %+v; want 3", got, o.last)
	}
	feed(t, p, flow.ToClient, frameBytes(typeHeaders, flagEndHeaders|flagEndStream, 2*maxLingering+1, "\x88"))
	if got := o.kinds[event.KindHTTP]; got != 4 || o.last.Status != 200 {
		t.Errorf("after a late answer: %d streams, the last %+v; want 4", got, o.last)
	}
	o.now = o.now.Add(2 * linger)
	feed(t, p, flow.ToClient, frameBytes(typePing, 0, 0, "12345678"))
	if got := o.kinds[event.KindHTTP]; got != maxLingering+3 {
		t.Errorf("after some time: %d streams, want %d", got, maxLingering+3)
	}
}

// TestHeldHeadersAreBounded opens streams whose few bytes refer to a long entry of the header table.
func TestHeldHeadersAreBounded(t *testing.T) {
	var o output
	p := o.parser(parse.DefaultLimits)
	feed(t, p, flow.ToServer, []byte(preface))
	feed(t, p, flow.ToServer, frameBytes(typeHeaders, flagEndHeaders, 1, get+"\x40\x01a\x7f\xe1\x1c"+strings.Repeat("b", 3808)))
	for i := range 500 {
		feed(t, p, flow.ToServer, frameBytes(typeHeaders, flagEndHeaders, uint32(2*i+3), get+strings.Repeat("\xbe", 60)))
	}
	size, limit := 0, heldHeaders*parse.DefaultLimits.Header
	for e := p.(*parser).order.Front(); e != nil; e = e.Next() {
		size += e.Value.(*stream).size
	}
	if size > limit || size < limit/2 {
		t.Errorf("open streams hold %d bytes of header fields, want about %d", size, limit)
	}
}

func TestLargeFramesAreNotKept(t *testing.T) {
	var o output
	limits := parse.DefaultLimits
	limits.Header = 4 << 10
	p := o.parser(limits)
	feed(t, p, flow.ToServer, []byte(preface))
	feed(t, p, flow.ToServer, frameBytes(typeHeaders, flagEndHeaders, 1, strings.Repeat(get, 1000)))
	feed(t, p, flow.ToServer, frameBytes(typeHeaders, flagEndHeaders, 3, get))
	p.End()
	if o.codes[frameTooLarge] != 1 || o.kinds[event.KindHTTP] != 1 || o.last.Stream != 3 {
		t.Errorf("got anomalies %v, %d transactions", o.codes, o.kinds[event.KindHTTP])
	}
}

// TestUpgrade begins where HTTP/1.1 ends: stream 1 is the answer to its request.
func TestUpgrade(t *testing.T) {
	var o output
	o.kinds, o.codes = map[event.Kind]int{}, map[string]int{}
	p := Protocol.New(parse.Output{
		Emit:    func(b event.Body) { o.last, _ = b.(*event.HTTP) },
		Anomaly: func(code string) { o.codes[code]++ },
		Upgrade: &parse.Upgrade{Host: "a.example", URL: "/x", Response: []string{"Connection: Upgrade", "Upgrade: h2c"}},
		Seen:    func() time.Time { return time.Unix(0, 0) }, Limits: parse.DefaultLimits,
	})
	feed(t, p, flow.ToClient, frameBytes(typeSettings, 0, 0, ""))
	feed(t, p, flow.ToClient, frameBytes(typeHeaders, flagEndHeaders|flagEndStream, 1, "\x88"))
	feed(t, p, flow.ToServer, []byte(preface))
	if o.last == nil || o.last.Status != 200 || o.last.Host != "a.example" || o.last.URL != "/x" || o.last.State != event.Complete || len(o.codes) > 0 {
		t.Errorf("got %+v, anomalies %v", o.last, o.codes)
	}
}

// denial judges requests: it drops all or none.
type denial bool

func (d denial) Begin(event.Body)         {}
func (d denial) Asked(event.Body)         {}
func (d denial) Doubt(event.Body, string) {}
func (d denial) Dropped(event.Body) bool  { return bool(d) }

// TestLengthMismatch tells of requests whose content-length lies, but not of those that a verdict has cut off: who was told that nobody
// wants the body may end it early.
func TestLengthMismatch(t *testing.T) {
	post := func(length string) []byte {
		return append([]byte(preface), frameBytes(typeHeaders, flagEndHeaders, 1, "\x83\x84\x87\x01\x01a\x0f\x0d\x01"+length)...)
	}
	answer := frameBytes(typeHeaders, flagEndHeaders|flagEndStream, 1, "\x48\x03403")
	cut := frameBytes(typeReset, 0, 1, "\x00\x00\x00\x08")
	for name, tt := range map[string]struct {
		dropped denial
		said    []byte // to the client, before its body ends
		length  string // that it has announced, of a body of 4 bytes
		lies    int
		state   event.State // of the request
	}{
		"all of it":             {false, answer, "4", 0, event.Complete},
		"short":                 {false, nil, "9", 1, event.Complete},
		"short, answered early": {false, answer, "9", 1, event.Complete},
		"long":                  {false, answer, "2", 1, event.Complete},
		"dropped":               {true, answer, "9", 0, event.Truncated},
		"dropped in its midst":  {true, cut, "9", 0, event.Truncated},
		"dropped, not told yet": {true, nil, "9", 1, event.Complete},
		"dropped, long":         {true, answer, "2", 1, event.Complete},
		"dropped, all of it":    {true, answer, "4", 0, event.Complete},
	} {
		t.Run(name, func(t *testing.T) {
			var o output
			p := o.judged(parse.DefaultLimits, tt.dropped)
			feed(t, p, flow.ToServer, post(tt.length))
			feed(t, p, flow.ToClient, tt.said)
			feed(t, p, flow.ToServer, frameBytes(typeData, flagEndStream, 1, "abcd"))
			p.End()
			if o.codes[lengthMismatch] != tt.lies || len(o.codes) != tt.lies || o.last == nil || o.last.Request.State != tt.state {
				t.Errorf("anomalies %v, told %+v; want %d and %s", o.codes, o.last, tt.lies, tt.state)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	settings := string(frameBytes(typeSettings, 0, 0, "\x00\x03\x00\x00\x00\x64"))
	empty := string(frameBytes(typeSettings, 0, 0, ""))
	for _, tc := range []struct {
		name string
		dir  flow.Direction
		b    string
		want parse.Match
	}{
		{"preface", flow.ToServer, preface, parse.Yes},
		{"part of it", flow.ToServer, preface[:10], parse.Maybe},
		{"another method", flow.ToServer, "PRINT / HTTP/1.1\r\n", parse.No},
		{"HTTP/1.1", flow.ToServer, "GET / HTTP/1.1\r\n", parse.No},
		{"settings of the server", flow.ToClient, settings, parse.Yes},
		{"part of them", flow.ToClient, settings[:10], parse.Maybe},
		{"unknown first setting", flow.ToClient, string(frameBytes(typeSettings, 0, 0, "\xff\x03\x00\x00\x00\x64")), parse.No},
		{"no settings", flow.ToClient, empty, parse.Maybe},
		{"no settings, then a frame", flow.ToClient, empty + string(frameBytes(typeSettings, flagAck, 0, "")), parse.Yes},
		{"no settings, then no frame", flow.ToClient, empty + "something", parse.No},
		{"odd length", flow.ToClient, string(frameBytes(typeSettings, 0, 0, "12345")), parse.No},
		{"an answer", flow.ToClient, "HTTP/1.1 200 OK\r\n", parse.No},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Protocol.Probe(tc.dir, []byte(tc.b)); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// answering returns a parser that has seen a request and the headers of its response.
func answering(t testing.TB, o *output) parse.Parser {
	p := o.parser(parse.DefaultLimits)
	feed(t, p, flow.ToServer, append([]byte(preface), frameBytes(typeHeaders, flagEndHeaders|flagEndStream, 1, get)...))
	feed(t, p, flow.ToClient, frameBytes(typeHeaders, flagEndHeaders, 1, "\x88"))
	feed(t, p, flow.ToClient, frameBytes(typeData, 0, 1, strings.Repeat("x", parse.DefaultLimits.Body)))
	return p
}

func TestDataDoesNotAllocate(t *testing.T) {
	for _, size := range []int{1, 1400, 16384} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			var o output
			p := answering(t, &o)
			b := frameBytes(typeData, 0, 1, strings.Repeat("x", size))
			if n := testing.AllocsPerRun(1000, func() { _, _ = p.Parse(flow.ToClient, b) }); n != 0 {
				t.Errorf("%v allocations a frame", n)
			}
		})
	}
}

func BenchmarkData(b *testing.B) {
	var o output
	p := answering(b, &o)
	data := frameBytes(typeData, 0, 1, strings.Repeat("x", 16384))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Parse(flow.ToClient, data)
	}
}

func BenchmarkTransactions(b *testing.B) {
	var o output
	p := o.parser(parse.DefaultLimits)
	feed(b, p, flow.ToServer, []byte(preface))
	request := frameBytes(typeHeaders, flagEndHeaders|flagEndStream, 1, get+"\x0f\x2b\x08curl/8.0\x53\x03*/*")
	response := append(frameBytes(typeHeaders, flagEndHeaders, 1, "\x88\x5f\x0atext/plain"), frameBytes(typeData, flagEndStream, 1, "hello")...)
	b.SetBytes(int64(len(request) + len(response)))
	b.ReportAllocs()
	for id := uint32(1); b.Loop(); id += 2 {
		for _, at := range [][]byte{request[5:], response[5:], response[headerSize+len("\x88\x5f\x0atext/plain")+5:]} {
			binary.BigEndian.PutUint32(at, id)
		}
		_, _ = p.Parse(flow.ToServer, request)
		_, _ = p.Parse(flow.ToClient, response)
	}
	if o.kinds[event.KindHTTP] < b.N {
		b.Fatalf("got %d transactions, want %d", o.kinds[event.KindHTTP], b.N)
	}
}
