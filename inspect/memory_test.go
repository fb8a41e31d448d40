package inspect

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
)

// realInspector returns an Inspector of the real protocols, and the anomalies that it finds.
func realInspector(memory int64) (*Inspector, *[]string) {
	codes := new([]string)
	return New(Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Memory: memory, Time: time.Minute,
		Emit: func(e *event.Event) {
			if a, ok := e.Body.(*event.Anomaly); ok {
				*codes = append(*codes, a.Code)
			}
		},
	}), codes
}

func begin(i *Inspector, steps ...step) func() {
	s := i.Open(flow.NewConn(0, flow.Tuple{Proto: flow.TCP}, time.Unix(0, 0)))
	for _, st := range steps {
		if st.data == "" {
			s.Gap(st.dir, time.Unix(1, 0), 0)
		} else {
			s.Data(st.dir, time.Unix(1, 0), []byte(st.data))
		}
	}
	return func() { s.Close(time.Unix(2, 0)) }
}

func zipped(t *testing.T, n int) string {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	for i := range n {
		fmt.Fprintf(w, "%x", i*i)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestMemoryIsGivenBack(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	upgrade := []step{
		{toS, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"},
		{toC, "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"},
	}
	body := zipped(t, 20_000)
	tests := map[string][]step{
		"recognising":              {{toS, "GE"}},
		"head":                     {{toS, get}, {toC, "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 50_000)}},
		"head, then a gap":         {{toS, get}, {toC, "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 5_000)}, {toC, ""}},
		"request without response": {{toS, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + strings.Repeat("x", 50_000)}},
		"gzip":                     {{toS, get}, {toC, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + body[:len(body)/2]}},
		"gzip, then a gap":         {{toS, get}, {toC, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + body[:len(body)/2]}, {toC, ""}},
		"form":                     {{toS, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9999\r\n\r\n--b\r\nContent-Disposition: form-data; filename=f\r\n\r\n" + body[:5000]}},
		"websocket":                append(upgrade, step{toC, "\x41\x05\xf2\x48\xcd\xc9\xc9"}),
		"http2":                    {{toS, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x03\x01\x04\x00\x00\x00\x01\x82\x84\x86\x00\x00\x05\x00\x00\x00\x00\x00\x01hello"}},
		"waits for too much":       {{toS, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n"}, {toS, strings.Repeat("x", 200_000)}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			i, _ := realInspector(1 << 30)
			end := begin(i, steps...)
			if n := i.Stats().Memory; n == 0 && !strings.HasSuffix(name, "gap") {
				t.Error("nothing was taken")
			}
			if end(); i.Stats().Memory != 0 {
				t.Errorf("%d bytes were not given back", i.Stats().Memory)
			}
		})
	}
}

// holder takes memory for each line and lets go of nothing. Some lines make it fail, even when it is to end.
type holder struct {
	lines
	failing bool
}

func (h *holder) Parse(dir flow.Direction, b []byte) (int, error) {
	h.out.Memory.Take(1000)
	h.failing = h.failing || bytes.HasPrefix(b, []byte("end"))
	return h.lines.Parse(dir, b)
}

func (h *holder) End() {
	if h.failing {
		panic("asked for")
	}
}

func TestMemoryIsGivenBackByParsersThatFail(t *testing.T) {
	for _, word := range []string{"panic", "stop", "become", "anew", "end", "end\npanic", strings.Repeat("x", 3*parse.DefaultLimits.Header)} {
		i := New(Config{
			Protocols: []parse.Protocol{{Name: "holder", Probe: first("LINES\n"), New: func(o parse.Output) parse.Parser { return &holder{lines: lines{o}} }}},
			Limits:    parse.DefaultLimits, Emit: func(*event.Event) {},
		})
		end := begin(i, step{toS, "LINES\n"}, step{toS, "a\nb"}, step{toC, word}, step{toC, "\n"}, step{toC, "c"})
		if end(); i.Stats().Memory != 0 {
			t.Errorf("%.9q: %d bytes were not given back", word, i.Stats().Memory)
		}
	}
}

// TestMemoryOfAllConnectionsIsBounded opens what 200 hostile connections would: bytes that wait, and bodies in gzip.
func TestMemoryOfAllConnectionsIsBounded(t *testing.T) {
	const memory = 8 << 20
	i, codes := realInspector(memory)
	body := zipped(t, 20_000)
	var ends []func()
	for range 100 {
		ends = append(ends,
			begin(i, step{toC, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n" + body[:len(body)/2]}),
			begin(i, step{toC, "HTTP/1.1 200 OK\r\n"}, step{toC, "A: " + strings.Repeat("x", 100_000)}))
		if n := i.Stats().Memory; n > memory {
			t.Fatalf("%d bytes are held, at most %d", n, memory)
		}
	}
	count := map[string]uint64{}
	for _, code := range *codes {
		count[code]++
	}
	if count["content_over_memory"] == 0 || count["inspect_over_memory"] == 0 || count["inspect_over_memory"] != i.Stats().OverMemory {
		t.Errorf("anomalies %v, %d streams counted", count, i.Stats().OverMemory)
	}
	for _, end := range ends {
		end()
	}
	if n := i.Stats().Memory; n != 0 {
		t.Errorf("%d bytes were not given back", n)
	}
}
