package inspect

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// client2 writes what a client of HTTP/2 says.
type client2 struct {
	*http2.Framer
	text, fields bytes.Buffer
	encoder      *hpack.Encoder
}

func newClient2() *client2 {
	c := &client2{}
	c.Framer, c.encoder = http2.NewFramer(&c.text, nil), hpack.NewEncoder(&c.fields)
	c.text.WriteString(http2.ClientPreface)
	_ = c.WriteSettings()
	_ = c.WriteWindowUpdate(0, 1<<20)
	return c
}

// ask writes a request's head, as lines of name=value behind method and path.
func (c *client2) ask(id uint32, end bool, method, path string, lines ...string) {
	c.fields.Reset()
	for _, l := range append([]string{":method=" + method, ":scheme=https", ":authority=example.com", ":path=" + path}, lines...) {
		name, value, _ := strings.Cut(l, "=")
		_ = c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.fields.Bytes(), EndStream: end, EndHeaders: true})
}

// TestHTTP2 checks, however the bytes are cut, which words reach the server and what the client is told.
func TestHTTP2(t *testing.T) {
	body := func(c *client2, id uint32, text string) { _ = c.WriteData(id, true, []byte(text)) }
	for name, tt := range map[string]struct {
		say     func(*client2)
		want    string // that is in what is forwarded
		not     string // that is not
		status  string // that the client is told
		finding string
	}{
		"upload": {func(c *client2) {
			c.ask(1, true, "GET", "/a", "x-mark=before")
			c.ask(3, false, "PUT", "/upload/a", "x-mark=inside")
			body(c, 3, "confidential")
			c.ask(5, true, "GET", "/b", "x-mark=behind")
		}, "behind", "confidential", "403", "NO-UPLOADS"},
		"form": {func(c *client2) {
			c.ask(1, false, "POST", "/form", "x-mark=inside")
			body(c, 1, "a=SECRET")
			c.ask(3, true, "GET", "/b", "x-mark=behind")
		}, "behind", "SECRET", "403", "NO-SECRETS"},
		"harmless form": {func(c *client2) {
			c.ask(1, false, "POST", "/form", "x-mark=inside")
			body(c, 1, "a=public")
		}, "public", "SECRET", "", "watch"},
		"too much": {func(c *client2) {
			c.ask(1, false, "POST", "/a", "content-length=3")
			body(c, 1, "abcGET /smuggled")
		}, "", "smuggled", "", "VITRINE.AMBIGUOUS-REQUEST"},
		"too little": {func(c *client2) {
			c.ask(1, false, "POST", "/a", "content-length=30")
			body(c, 1, "smuggled")
		}, "", "smuggled", "", "VITRINE.AMBIGUOUS-REQUEST"},
		"too many others while it waits": {func(c *client2) {
			c.ask(1, false, "POST", "/form", "x-mark=inside")
			for i := range parse.DefaultLimits.Open {
				c.ask(uint32(3+2*i), true, "GET", "/b")
			}
			body(c, 1, "a=SECRET")
		}, "", "SECRET", "", "VITRINE.AMBIGUOUS-REQUEST"},
		"body behind the end": {func(c *client2) {
			c.ask(1, false, "POST", "/a")
			body(c, 1, "abc")
			body(c, 1, "smuggled")
			c.ask(3, true, "GET", "/b", "x-mark=behind")
			_ = c.WriteRawFrame(0xb0, 0, 3, []byte("smuggled"))
			body(c, 3, "smuggled")
			c.ask(5, true, "GET", "/b", "x-mark=behind")
		}, "behind", "smuggled", "", "watch"},
		"transfer-encoding": {func(c *client2) {
			c.ask(1, false, "POST", "/a", "transfer-encoding=chunked")
			body(c, 1, "0\r\n\r\nsmuggled")
		}, "", "smuggled", "403", "VITRINE.AMBIGUOUS-REQUEST"},
		"line in a header": {func(c *client2) {
			c.ask(1, true, "GET", "/a", "x=y\r\nsmuggled: z")
		}, "", "smuggled", "403", "VITRINE.AMBIGUOUS-REQUEST"},
		"CONNECT": {func(c *client2) {
			c.ask(1, true, "CONNECT", "/smuggled")
		}, "", "smuggled", "403", "VITRINE.AMBIGUOUS-REQUEST"},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for i := range 20 {
				c, client := newConversation(t, lineRules, nil), newClient2()
				tt.say(client)
				c.say(flow.ToClient, "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64")
				c.cut(flow.ToServer, client.text.String(), random, 1<<(i%10))
				c.Close(time.UnixMilli(3))
				late := strings.HasPrefix(name, "too ") // it depends on the pieces what the client can still be told
				if c.end || c.drop && !late {
					t.Fatal("the connection has ended")
				}
				forwarded := plain(t, c.forwarded[flow.ToServer].Bytes()[len(http2.ClientPreface):])
				if !strings.Contains(forwarded, tt.want) || strings.Contains(forwarded, tt.not) {
					t.Fatalf("forwarded %q", forwarded)
				}
				if said := plain(t, c.forwarded[flow.ToClient].Bytes()); strings.Contains(said, ":status: 403") != (tt.status == "403") && !late {
					t.Fatalf("the client is told %q", said)
				}
				if got := c.findings(); !strings.Contains(got, tt.finding) {
					t.Fatalf("findings %q, want %q", got, tt.finding)
				}
			}
		})
	}
}

// TestStoppedUpload has clients that end an upload short of its length. One that was told that it is blocked owes nobody the rest; any other
// one lies about the length.
func TestStoppedUpload(t *testing.T) {
	for name, tt := range map[string]struct {
		path  string
		told  bool // the server side has spoken before the upload ends: the client has its answer
		lies  bool
		state event.State // of the request
	}{
		"blocked":         {"/upload/a", true, false, event.Truncated},
		"not told yet":    {"/upload/a", false, true, event.Complete},
		"nothing to deny": {"/a", true, true, event.Complete},
	} {
		t.Run(name, func(t *testing.T) {
			c, client := newConversation(t, lineRules, nil), newClient2()
			client.ask(1, false, "PUT", tt.path, "content-length=30")
			_ = client.WriteData(1, false, []byte("confidential"))
			begin := client.text.Len()
			_ = client.WriteData(1, true, nil)
			sent := client.text.String()
			if tt.told {
				c.say(flow.ToClient, "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64")
			}
			c.say(flow.ToServer, sent[:begin])
			c.say(flow.ToServer, sent[begin:])
			c.Close(time.UnixMilli(3))
			told := 0
			for _, r := range c.records {
				if r.Anomaly != nil {
					told++
				}
				if r.HTTP != nil && r.HTTP.Request.State != tt.state {
					t.Errorf("the request is told as %s, want %s", r.HTTP.Request.State, tt.state)
				}
				if r.Anomaly != nil && r.Anomaly.Code != "http2_length_mismatch" {
					t.Errorf("told of %s", r.Anomaly.Code)
				}
			}
			if tt.lies != (told == 1) || told > 1 {
				t.Errorf("%d anomalies", told)
			}
			if out := c.forwarded[flow.ToServer].String(); tt.path != "/a" && strings.Contains(out, "confidential") {
				t.Errorf("forwarded %q", out)
			}
			credit := "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x0c" // for what the server will never count
			if said := c.forwarded[flow.ToClient].String(); tt.told && tt.path != "/a" && strings.Count(said, credit) != 1 {
				t.Errorf("the client is told %q", said)
			}
		})
	}
}

// plain writes frames as text.
func plain(t testing.TB, b []byte) string {
	t.Helper()
	var text strings.Builder
	f := http2.NewFramer(nil, bytes.NewReader(b))
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return text.String()
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range frame.Fields {
				text.WriteString(h.Name + ": " + h.Value + "\n")
			}
		case *http2.DataFrame:
			text.Write(frame.Data())
		}
	}
}
