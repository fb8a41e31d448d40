package inspect

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/http1"
	"github.com/vitrine-ndr/vitrine/parse/http2"
	"github.com/vitrine-ndr/vitrine/parse/unknown"
	"github.com/vitrine-ndr/vitrine/parse/websocket"
	"github.com/vitrine-ndr/vitrine/source"
)

const lineRules = `rules:
- {id: no-uploads, action: block, description: No uploads, urls: ["example.com/upload/*"], direction: upload}
- {id: no-secrets, action: block, urls: ["example.com/form"], contains: [{field: body, text: SECRET}]}
- {id: watch, action: alert, urls: [example.com]}
`

// conversation is an inspected connection, as a source that forwards has it.
type conversation struct {
	source.Editor
	t         testing.TB
	forwarded [2]bytes.Buffer
	held      int
	end, drop bool
	records   []*event.Record
}

func newConversation(t testing.TB, rules string, change func(*Config)) *conversation {
	t.Helper()
	e, err := detect.Compile(fstest.MapFS{"rules.yaml": {Data: []byte(rules)}})
	if err != nil {
		t.Fatal(err)
	}
	c := &conversation{t: t}
	cfg := Config{
		Protocols: []parse.Protocol{http1.Protocol, http2.Protocol, websocket.Protocol}, Unknown: unknown.Protocol, Limits: parse.DefaultLimits, Time: time.Second,
		Detect: new(atomic.Pointer[detect.Engine]), Contact: "help@example.com",
		Emit: func(e *event.Event) { c.records = append(c.records, e.Record()) },
	}
	cfg.Detect.Store(e)
	if change != nil {
		change(&cfg)
	}
	conn := flow.NewConn(1, flow.Tuple{Proto: flow.TCP}, time.UnixMilli(1))
	conn.Policy = &flow.Policy{ID: "office"}
	c.Editor = New(cfg).Open(conn).(source.Editor)
	return c
}

// say hands over what was said, and does as a source does.
func (c *conversation) say(dir flow.Direction, b string) {
	if c.end || c.drop {
		return
	}
	var piece []byte
	if b != "" {
		piece = []byte(b)
	}
	e := c.Edit(dir, time.UnixMilli(2), piece)
	c.forwarded[dir].Write(e.Forward)
	for i := range piece { // no longer valid
		piece[i] = 0xaa
	}
	c.end, c.drop = c.end || e.End, c.drop || e.Drop
	if dir == flow.ToServer {
		c.held = e.Held
	}
	if e.Waiting && !c.end && !c.drop {
		c.say(dir.Reverse(), "")
	}
}

// cut says a text in random pieces.
func (c *conversation) cut(dir flow.Direction, text string, random *rand.Rand, most int) {
	for text != "" {
		n := min(1+random.IntN(most), len(text))
		c.say(dir, text[:n])
		text = text[n:]
	}
}

// findings are the rules of those told, those that block in capitals.
func (c *conversation) findings() string {
	var all []string
	for _, r := range c.records {
		if f := r.Finding; f != nil && f.Action == event.Blocked {
			all = append(all, strings.ToUpper(f.Rule))
		} else if f != nil {
			all = append(all, f.Rule)
		}
	}
	return strings.Join(all, " ")
}

const (
	get    = "GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n"
	put    = "PUT /upload/a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 10\r\n\r\n0123456789"
	chunky = "POST /post HTTP/1.1\r\nHost: example.com\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nA: b\r\n\r\n"
	form   = "POST /form HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "
	ok     = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

// TestHTTP1 checks, however the bytes are cut, that exactly what is before a dropped request is forwarded.
func TestHTTP1(t *testing.T) {
	harmless, secret := form+"8\r\n\r\na=public", form+"10\r\n\r\na=SECRET&b"
	for name, tt := range map[string]struct {
		client  string
		want    string // what is forwarded of that
		answers int    // that the server gives
		block   string
	}{
		"nothing to drop":        {get + chunky + get, get + chunky + get, 3, ""},
		"the first":              {put, "", 0, "NO-UPLOADS"},
		"behind others":          {get + chunky + put + get, get + chunky, 2, "NO-UPLOADS"},
		"body that passes":       {harmless + get, harmless + get, 2, ""},
		"body that does not":     {get + secret + get, get, 1, "NO-SECRETS"},
		"CL.TE":                  {get + "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", get, 1, "VITRINE.AMBIGUOUS-REQUEST"},
		"TE.CL":                  {"POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nA\r\n0\r\n\r\n", "", 0, "VITRINE.AMBIGUOUS-REQUEST"},
		"TE.TE":                  {get + "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", get, 1, "VITRINE.AMBIGUOUS-REQUEST"},
		"TE disguised":           {"POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "", 0, "VITRINE.AMBIGUOUS-REQUEST"},
		"TE behind a fold":       {"POST / HTTP/1.1\r\nHost: example.com\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 0, "VITRINE.AMBIGUOUS-REQUEST"},
		"two lengths":            {"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "", 0, "VITRINE.AMBIGUOUS-REQUEST"},
		"signed length":          {"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: +1\r\n\r\nab", "", 0, "VITRINE.AMBIGUOUS-REQUEST"},
		"space before the colon": {"POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "", 0, "VITRINE.AMBIGUOUS-REQUEST"},
		"bare line ends":         {get + "GET / HTTP/1.1\nHost: example.com\n\n", get, 1, "VITRINE.AMBIGUOUS-REQUEST"},
		"two hosts":              {"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n", "", 0, "VITRINE.AMBIGUOUS-REQUEST"},
		"space in the target":    {"GET /a b HTTP/1.1\r\nHost: example.com\r\n\r\n", "", 0, "VITRINE.AMBIGUOUS-REQUEST"},
		"no request line":        {get + "nonsense\r\n" + put, get, 1, "VITRINE.AMBIGUOUS-REQUEST"},
		"CONNECT":                {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "", 0, "VITRINE.AMBIGUOUS-REQUEST"},
		"h2c":                    {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "", 0, "VITRINE.AMBIGUOUS-REQUEST"},
		"a request of its own":   {"PUT /upload/a HTTP/1.1\r\nHost: example.com\r\n\r\n", "", 0, "NO-UPLOADS"},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for i := range 30 {
				c := newConversation(t, lineRules, nil)
				most := 1 << (i % 9)
				if i == 0 {
					most = 1 << 20
				}
				c.cut(flow.ToServer, tt.client, random, most)
				c.cut(flow.ToClient, strings.Repeat(ok, tt.answers), random, most)
				if got := c.forwarded[flow.ToServer].String(); got != tt.want {
					t.Fatalf("pieces up to %d: forwarded %q, want %q", most, got, tt.want)
				}
				said := c.forwarded[flow.ToClient].String()
				answer, has := strings.CutPrefix(said, strings.Repeat(ok, tt.answers))
				blocked := strings.HasPrefix(answer, "HTTP/1.1 403 Forbidden\r\n") && strings.Contains(answer, "Connection: close\r\n")
				if !has || blocked != (tt.block != "") || c.end != blocked || c.drop {
					t.Fatalf("pieces up to %d: the client is told %q; end %t, drop %t", most, said, c.end, c.drop)
				}
				c.Close(time.UnixMilli(3))
				if got := c.findings(); !strings.Contains(got, tt.block) || (tt.block == "") != (strings.ToLower(got) == got) {
					t.Fatalf("findings %q, want %q", got, tt.block)
				}
			}
		})
	}
}

// TestChunksThatLie begins as it should: what was forwarded cannot be taken back, but nothing follows.
func TestChunksThatLie(t *testing.T) {
	for _, bad := range []string{"0x5\r\nhello\r\n", "5\nhello\r\n", "1\r\nab\r\n", "fffffffffffffffff\r\n"} {
		head := "POST /post HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
		c := newConversation(t, lineRules, nil)
		c.say(flow.ToServer, head)
		c.say(flow.ToServer, bad+put)
		got := c.forwarded[flow.ToServer].String()
		if !strings.HasPrefix(head+bad, got) || !c.end || !strings.HasPrefix(c.forwarded[flow.ToClient].String(), "HTTP/1.1 403") {
			t.Errorf("%q: forwarded %q, the client is told %q", bad, got, c.forwarded[flow.ToClient].String())
		}
	}
}

// TestDoubtful lets ambiguous requests through where that is wanted, or where nothing is ever blocked.
func TestDoubtful(t *testing.T) {
	bad := "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	for _, c := range []*conversation{
		newConversation(t, lineRules, func(c *Config) { c.Doubtful = true }),
		newConversation(t, `rules: [{id: watch, action: alert, urls: ["*"]}]`, nil),
		newConversation(t, `rules: [{id: elsewhere, action: block, policies: [lab], urls: ["*"]}]`, nil),
	} {
		if c.say(flow.ToServer, bad); c.forwarded[flow.ToServer].String() != bad {
			t.Errorf("forwarded %q", c.forwarded[flow.ToServer].String())
		}
	}
}

// TestOtherProtocols are forwarded at once.
func TestOtherProtocols(t *testing.T) {
	c := newConversation(t, lineRules, nil)
	c.say(flow.ToServer, "\x01\x02")
	if c.held != 0 || c.forwarded[flow.ToServer].Len() != 2 {
		t.Errorf("%d bytes held, %d forwarded", c.held, c.forwarded[flow.ToServer].Len())
	}
}

// TestUpgradeGoesOn checks that frames of WebSocket are not held once the server has agreed.
func TestUpgradeGoesOn(t *testing.T) {
	upgrade := "GET /ws HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	agreed := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	frame := "\x81\x82maskhi"
	c := newConversation(t, lineRules, nil)
	c.say(flow.ToServer, upgrade+frame)
	if got := c.forwarded[flow.ToServer].String(); got != upgrade {
		t.Errorf("forwarded %q", got)
	}
	c.say(flow.ToClient, agreed)
	if got := c.forwarded[flow.ToServer].String(); got != upgrade+frame {
		t.Errorf("once it is agreed, forwarded %q", got)
	}
	c.say(flow.ToServer, "\x81")
	if c.held > 0 {
		t.Errorf("%d bytes of a frame are held", c.held)
	}
}

// TestAnswersAreNotHeld sends an answer in pieces, as server-sent events come.
func TestAnswersAreNotHeld(t *testing.T) {
	c := newConversation(t, lineRules, nil)
	c.say(flow.ToServer, get)
	for _, piece := range []string{"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n", "\r\nda", "ta: 1\n\n"} {
		before := c.forwarded[flow.ToClient].Len()
		if c.say(flow.ToClient, piece); c.forwarded[flow.ToClient].Len() != before+len(piece) {
			t.Errorf("of %q, %d bytes are forwarded", piece, c.forwarded[flow.ToClient].Len()-before)
		}
	}
}

// TestEventOfABlock has the request, the answer that the client saw, and the finding that tells of both by its reference.
func TestEventOfABlock(t *testing.T) {
	c := newConversation(t, lineRules, nil)
	c.say(flow.ToServer, put)
	c.Close(time.UnixMilli(3))
	var http *event.HTTP
	var finding *event.Finding
	for _, r := range c.records {
		switch {
		case r.HTTP != nil:
			http = r.HTTP
		case r.Finding != nil && r.Finding.Action == event.Blocked:
			finding = r.Finding
		}
	}
	if http == nil || finding == nil || http.Status != 403 || http.Tx != finding.Tx || finding.Rule != "no-uploads" || finding.Name != "No uploads" {
		t.Fatalf("got %+v and %+v", http, finding)
	}
	if page := c.forwarded[flow.ToClient].String(); len(finding.Reference) != 9 || !strings.Contains(page, finding.Reference) || !strings.Contains(page, "help@example.com") {
		t.Errorf("reference %q, page %q", finding.Reference, page)
	}
}

// TestPassiveFindings are those of a source that forwards nothing.
func TestPassiveFindings(t *testing.T) {
	c := newConversation(t, lineRules, nil)
	c.Data(flow.ToServer, time.UnixMilli(2), []byte(put))
	c.Data(flow.ToClient, time.UnixMilli(3), []byte(ok))
	c.Close(time.UnixMilli(3))
	if got := c.findings(); got != "no-uploads watch" {
		t.Errorf("findings %q", got)
	}
}
