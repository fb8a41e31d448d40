package http1

import (
	"bytes"
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

func TestLosses(t *testing.T) { parsetest.Loss(t, "testdata", Protocol) }

func FuzzParse(f *testing.F) { parsetest.Fuzz(f, "testdata", Protocol) }

const okHead = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

func TestCostIsLinear(t *testing.T) {
	for name, c := range map[string]struct {
		dir    flow.Direction
		before string
		unit   string
		after  string
	}{
		"requests":            {flow.ToServer, "", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		"short fields":        {flow.ToServer, "GET / HTTP/1.1\r\n", "a:b\r\n", "\r\n"},
		"one long field":      {flow.ToServer, "GET / HTTP/1.1\r\nA: ", "aaaaaaaa", "\r\n\r\n"},
		"one long target":     {flow.ToServer, "GET /", "aaaaaaaa", " HTTP/1.1\r\n\r\n"},
		"folds":               {flow.ToServer, "GET / HTTP/1.1\r\nA: ", "a\r\n ", "\r\n\r\n"},
		"lengths":             {flow.ToServer, "GET / HTTP/1.1\r\nContent-Length: 1", ",1", "\r\n\r\nx"},
		"empty lines":         {flow.ToServer, "", "\r\n", ""},
		"lines of no message": {flow.ToClient, "", "GETX / SIP/2.0\r\n", ""},
		"no line at all":      {flow.ToServer, "", "GET aaaa", ""},
		"small chunks":        {flow.ToClient, okHead + "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", "0\r\n\r\n"},
		"chunk extensions":    {flow.ToClient, okHead + "Transfer-Encoding: chunked\r\n\r\n1", ";abcdefg", "\r\na\r\n0\r\n\r\n"},
		"trailers":            {flow.ToClient, okHead + "Transfer-Encoding: chunked\r\n\r\n0\r\n", "a:b\r\n", "\r\n"},
		"body":                {flow.ToClient, okHead + "\r\n", "abcdefgh", ""},
		"interim responses":   {flow.ToClient, "", "HTTP/1.1 100 Continue\r\n\r\n", okHead + "\r\n"},
		"form parts": {flow.ToServer, "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 999999999\r\n\r\n",
			"--b\r\ncontent-disposition: form-data; filename=a\r\n\r\nx\r\n", ""},
		"form of line ends": {flow.ToServer, "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=" + strings.Repeat("b", 200) +
			"\r\nContent-Length: 999999999\r\n\r\n", "\r\n--bbbbbbbbbbbbb", ""},
	} {
		t.Run(name, func(t *testing.T) {
			parsetest.Linear(t, Protocol, func(n int) []parsetest.Step {
				return parsetest.Steps(c.dir, []byte(c.before+strings.Repeat(c.unit, n/len(c.unit))+c.after))
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

func TestBodiesCostNoAllocation(t *testing.T) {
	piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	chunk := append(append([]byte("4000\r\n"), piece...), "\r\n"...)
	for name, c := range map[string]struct {
		head  string
		piece []byte
	}{
		"length":      {okHead + "Content-Length: 1073741824\r\n\r\n", piece},
		"until close": {okHead + "\r\n", piece},
		"chunked":     {okHead + "Transfer-Encoding: chunked\r\n\r\n", chunk},
	} {
		t.Run(name, func(t *testing.T) {
			events := 0
			p := newParser(output(&events))
			feed := func(b []byte) {
				if n, err := p.Parse(flow.ToClient, b); n != len(b) || err != nil {
					t.Fatalf("consumed %d of %d bytes: %v", n, len(b), err)
				}
			}
			feed([]byte(c.head))
			for range 8 { // fills what is kept of the body
				feed(c.piece)
			}
			if n := testing.AllocsPerRun(1000, func() { feed(c.piece) }); n > 0 {
				t.Errorf("%v allocations a piece", n)
			}
			if p.End(); events != 2 {
				t.Errorf("%d events, want the transaction and its file", events)
			}
		})
	}
}

// TestLimits checks what happens beyond each bound.
func TestLimits(t *testing.T) {
	long := strings.Repeat("a", 300)
	for _, c := range []struct{ name, client, want string }{
		{"long target", "GET /" + long + " HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
			"http1_head_too_large /2[Host: h]"},
		{"long field", "GET /1 HTTP/1.1\r\nA: " + long + "\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
			"http1_head_too_large /1[Host: h] /2[Host: h]"},
		{"many fields", "POST /1 HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", 60) + "\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
			"http1_head_too_large /1[" + strings.TrimSpace("Host: h"+strings.Repeat(" A: b", 38)) + "] /2[Host: h]"},
		{"many open", strings.Repeat("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", 4), "http1_too_many_pipelined /1[Host: h] /1[Host: h] /1[Host: h] /1[Host: h]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			events := 0
			out := output(&events)
			var got []string
			out.Limits.Header, out.Limits.Open = 256, 3
			out.Anomaly = func(code string) { got = append(got, code) }
			out.Emit = func(b event.Body) {
				h := b.(*event.HTTP)
				got = append(got, fmt.Sprint(h.URL, h.Request.Headers))
			}
			p := newParser(out)
			if n, err := p.Parse(flow.ToServer, []byte(c.client)); n != len(c.client) || err != nil {
				t.Errorf("consumed %d of %d bytes: %v", n, len(c.client), err)
			}
			p.End()
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestOneDirection checks that a client's word is taken for an upgrade whose answer was not seen.
func TestOneDirection(t *testing.T) {
	for _, c := range []struct{ name, request, want string }{
		{"tunnel", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", ""},
		{"websocket", "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", "websocket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			events := 0
			out := output(&events)
			var became []string
			out.Become = func(name string, _ *parse.Upgrade) { became = append(became, name) }
			p := newParser(out)
			all := []byte(c.request + strings.Repeat("x", out.Limits.Header+1))
			n, err := p.Parse(flow.ToServer, all[:len(all)-1])
			if n != len(c.request) || err != nil || len(became) > 0 {
				t.Errorf("consumed %d bytes, became %q: %v", n, became, err)
			}
			n, err = p.Parse(flow.ToServer, all[n:])
			if n != 0 || err != nil || len(became) != 1 || became[0] != c.want {
				t.Errorf("consumed %d bytes, became %q: %v", n, became, err)
			}
			if p.End(); events != 1 {
				t.Errorf("%d events, want 1", events)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		dir  flow.Direction
		b    string
		want parse.Match
	}{
		{flow.ToServer, "GET / HTTP/1.1\r\n", parse.Yes},
		{flow.ToServer, "\r\nM-SEARCH * HTTP/1.1\n", parse.Yes},
		{flow.ToServer, "POST /" + strings.Repeat("a", 2000), parse.Yes},
		{flow.ToServer, "GE", parse.Maybe},
		{flow.ToServer, "GET /index.html HTTP/1.", parse.Maybe},
		{flow.ToServer, "PRI * HTTP/2.0\r\n", parse.No},
		{flow.ToServer, "OPTIONS rtsp://a RTSP/1.0\r\n", parse.No},
		{flow.ToServer, "EHLO example.com\r\n", parse.No},
		{flow.ToServer, "\x16\x03\x01", parse.No},
		{flow.ToServer, "USER anonymous\r\n", parse.No},
		{flow.ToServer, strings.Repeat("a", 100), parse.No},
		{flow.ToClient, "HTTP/1.1 200", parse.Yes},
		{flow.ToClient, "HTTP/", parse.Maybe},
		{flow.ToClient, "HTTP/2 200", parse.No},
		{flow.ToClient, "220 ready\r\n", parse.No},
	} {
		if got := probe(c.dir, []byte(c.b)); got != c.want {
			t.Errorf("probe %s of %.30q is %d, want %d", c.dir, c.b, got, c.want)
		}
	}
}

func BenchmarkDownload(b *testing.B) {
	piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	events := 0
	p := newParser(output(&events))
	_, _ = p.Parse(flow.ToClient, []byte(okHead+"\r\n"))
	b.SetBytes(int64(len(piece)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Parse(flow.ToClient, piece)
	}
}

func BenchmarkTransactions(b *testing.B) {
	request := []byte("GET /index.html?a=b HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\nCookie: a=b; c=d\r\n\r\n")
	response := []byte(okHead + "Server: nginx\r\nDate: Fri, 01 Jan 2027 00:00:00 GMT\r\nContent-Length: 5\r\n\r\nhello")
	events := 0
	p := newParser(output(&events))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Parse(flow.ToServer, request)
		_, _ = p.Parse(flow.ToClient, response)
	}
}
