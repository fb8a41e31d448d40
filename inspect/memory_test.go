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

func begin(i *Inspector, steps ...step) func() { return beginProto(i, flow.TCP, steps...) }

func beginProto(i *Inspector, proto flow.Proto, steps ...step) func() {
	s := i.Open(flow.NewConn(0, flow.Tuple{Proto: proto}, time.Unix(0, 0)))
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

// TestOpenTransactionsGiveWay: without memory, the oldest open transactions of a connection end early.
func TestOpenTransactionsGiveWay(t *testing.T) {
	const memory = 4 << 20 // 1 MiB a connection
	preface := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	tests := map[string]struct {
		proto  flow.Proto
		before string
		unit   func(k int) string // about 16 kB
	}{
		"http1": {flow.TCP, "", func(int) string { return "GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("x", 16_000) + "\r\n\r\n" }},
		"http2": {flow.TCP, preface, func(k int) string {
			block := "\x82\x84\x86\x00\x01a\x7f\x81\x7c" + strings.Repeat("x", 16_000)
			return string(append([]byte{0, byte(len(block) >> 8), byte(len(block)), 1, 5, 0, 0, byte(k >> 7), byte(k<<1 | 1)}, block...))
		}},
		"dns": {flow.UDP, "", func(k int) string {
			data := strings.Repeat("\xff"+strings.Repeat("x", 255), 62)
			return string([]byte{byte(k >> 8), byte(k)}) + "\x28\x00\x00\x01\x00\x00\x00\x01\x00\x00\x01a\x00\x00\x06\x00\x01" +
				"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x00" + string([]byte{byte(len(data) >> 8), byte(len(data))}) + data
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			i, codes := realInspector(memory)
			transactions := func() int { return int(i.Stats().Events) - len(*codes) }
			steps := []step{{toS, tt.before + tt.unit(0)}}
			for k := range 150 { // 2.4 MB
				steps = append(steps, step{toS, tt.unit(k + 1)})
			}
			end := beginProto(i, tt.proto, steps...)
			if early := transactions(); early < 50 || early > 120 {
				t.Errorf("%d of 151 transactions have ended early", early)
			}
			if end(); transactions() != 151+1 {
				t.Errorf("%d events, want those of 151 transactions and of the connection", transactions())
			}
			if n := i.Stats().Memory; n != 0 {
				t.Errorf("%d bytes were not given back", n)
			}
		})
	}
}
