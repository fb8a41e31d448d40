package sensor

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/sourcetest"
)

// connect is what comes before TLS at a proxy.
var connect = []parsetest.Step{
	{Dir: flow.ToServer, Data: []byte("CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n")},
	{Dir: flow.ToClient, Data: []byte("HTTP/1.1 200 Connection established\r\n\r\n")},
}

// summary is what events say of a connection.
func summary(records []*event.Record) (lines []string) {
	for _, r := range records {
		switch {
		case r.HTTP != nil:
			lines = append(lines, strings.TrimSpace(fmt.Sprint(r.Kind, " ", r.HTTP.Method, " ", r.HTTP.URL, " ", r.HTTP.Status)))
		case r.Kind == event.KindTLS:
			lines = append(lines, strings.TrimSpace(fmt.Sprint("tls ", r.TLS.SNI, " ", r.State, " ", r.Reason)))
		case r.Conn != nil:
			lines = append(lines, fmt.Sprint("conn ", r.Conn.Protocols))
		default:
			lines = append(lines, string(r.Kind))
		}
	}
	return lines
}

func TestTLSThatBeginsLater(t *testing.T) {
	web := sourcetest.All()[0]
	inside := []string{"http CONNECT shop.example:443 200", "http POST /login?next=%2F 200", "http GET /big 200"}
	for version, cfg := range configs(t) {
		for name, tt := range map[string]struct {
			spoil func(*sourcetest.Wire)
			want  []string
		}{
			"all there": {func(*sourcetest.Wire) {}, append(slices.Clone(inside), "tls shop.example yes", "conn [http1 tls http1]")},
			"no key":    {func(w *sourcetest.Wire) { w.KeyLog = nil }, []string{inside[0], "tls shop.example no no_key", "conn [http1 tls]"}},
		} {
			t.Run(version+" "+name, func(t *testing.T) {
				w := sourcetest.TLSBehind(t, connect, web, cfg)
				tt.spoil(w)
				s := newSensor(t, w)
				records := slices.DeleteFunc(play(t, s), func(r *event.Record) bool { return r.Kind == event.KindFile })
				if diff := cmp.Diff(tt.want, summary(records)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if s.unanswered != 0 {
					t.Errorf("%d bytes are still counted", s.unanswered)
				}
			})
		}
	}
}

// TestWhoAcceptsMayBeTheClient has TLS in the other direction than TCP, as active FTP has it.
func TestWhoAcceptsMayBeTheClient(t *testing.T) {
	for version, cfg := range configs(t) {
		t.Run(version, func(t *testing.T) {
			web := sourcetest.All()[0]
			got := play(t, newSensor(t, sourcetest.TLSReversed(t, web, cfg)))
			want := play(t, newSensor(t, sourcetest.Plain(web)))
			if diff := cmp.Diff(summary(want)[:4], summary(got)[:4]); diff != "" {
				t.Errorf("-plain +reversed:\n%s", diff)
			}
			if last := got[len(got)-1]; last.State != flow.DecryptedYes {
				t.Errorf("decrypted: %q", last.State)
			}
		})
	}
}

// script drives one Stream and keeps what it passes on.
type script struct {
	*stream
	got    [2]bytes.Buffer
	closed bool
}

func newScript(t testing.TB) *script {
	c := &script{}
	s := New(Config{Keys: keylog.NewStore(10), HeldBytes: DefaultHeldBytes}, testkit.Logger(t))
	o := &opener{s, sinkTo{c}}
	c.stream = o.Open(flow.NewConn(0, flow.Tuple{Proto: flow.TCP}, time.Unix(0, 0))).(*stream)
	return c
}

// sinkTo is the Sink behind a script.
type sinkTo struct{ c *script }

func (k sinkTo) Open(*flow.Conn) source.Stream { return k }
func (k sinkTo) Data(dir flow.Direction, _ time.Time, b []byte) flow.Verdict {
	k.c.got[dir].Write(b)
	return flow.Pass
}
func (k sinkTo) Gap(dir flow.Direction, _ time.Time, n int) { fmt.Fprintf(&k.c.got[dir], "<%d>", n) }
func (k sinkTo) Close(time.Time)                            { k.c.closed = true }

// clientHello is one that Go's client sends, and the server's answer to it.
func clientHello(t testing.TB) (hello, answer []byte) {
	t.Helper()
	for _, p := range sourcetest.TLS(t, sourcetest.All()[0], configs(t)["TLS 1.3"]).Packets {
		if b := p.Data[40:]; len(b) > 0 { // behind IPv4 and TCP
			if hello == nil {
				hello = b
				continue
			}
			return hello, b
		}
	}
	t.Fatal("there is no handshake")
	return nil, nil
}

// TestWhatOnlyLooksLikeTLS sends a ClientHello where nobody answers it: as the body of a request, or a part of that.
func TestWhatOnlyLooksLikeTLS(t *testing.T) {
	hello, answer := clientHello(t)
	const toS, toC = flow.ToServer, flow.ToClient
	step := func(dir flow.Direction, b []byte) parsetest.Step { return parsetest.Step{Dir: dir, Data: b} }
	begin := []parsetest.Step{step(toS, []byte("POST /x HTTP/1.1\r\n")), step(toC, []byte("HTTP/1.1 100 Continue\r\n\r\n"))}
	invalid := bytes.Clone(hello)
	invalid[43] = 255 // the length of the session id
	for name, steps := range map[string][]parsetest.Step{
		"a response":                {step(toS, hello), step(toC, []byte("HTTP/1.1 200 OK\r\n\r\n"))},
		"a response, byte by byte":  {step(toS, hello), step(toC, []byte("H")), step(toC, []byte("TTP"))},
		"a number of the same form": {step(toS, hello), step(toC, []byte{22, 3, 3, 0}), step(toC, []byte{9, 9, 9})},
		"another handshake message": {step(toS, hello), step(toC, hello)},
		"no answer":                 {step(toS, hello), step(toS, []byte("and more"))},
		"a long upload":             {step(toS, hello), step(toS, bytes.Repeat([]byte("x"), maxUnanswered)), step(toC, answer)},
		"a half":                    {step(toS, hello[:100]), step(toC, answer)},
		"a byte":                    {step(toS, hello[:1]), step(toS, []byte("1"))},
		"an invalid one":            {step(toS, invalid), step(toC, answer)},
		"not at the beginning":      {step(toS, append([]byte("x"), hello...)), step(toC, answer)},
		"a hole":                    {step(toS, hello), {Dir: toS, IsGap: true, Gap: 5}, step(toC, answer)},
		"of the server":             {step(toC, hello), step(toS, answer)},
	} {
		t.Run(name, func(t *testing.T) {
			c := newScript(t)
			var want [2]bytes.Buffer
			for _, s := range append(slices.Clone(begin), steps...) {
				if s.IsGap {
					fmt.Fprintf(&want[s.Dir], "<%d>", s.Gap)
					c.Gap(s.Dir, time.Unix(1, 0), s.Gap)
					continue
				}
				want[s.Dir].Write(s.Data)
				c.Data(s.Dir, time.Unix(1, 0), bytes.Clone(s.Data))
			}
			c.Close(time.Unix(2, 0))
			for dir := range want {
				if !bytes.Equal(want[dir].Bytes(), c.got[dir].Bytes()) {
					t.Errorf("%s: %d bytes were sent, and %d others passed on", flow.Direction(dir), want[dir].Len(), c.got[dir].Len())
				}
			}
			if c.session != nil || c.sensor.unanswered != 0 || !c.closed {
				t.Errorf("it was taken for TLS: %t; %d bytes are still counted", c.session != nil, c.sensor.unanswered)
			}
		})
	}
}

// TestUnansweredIsBounded has many clients send what may be TLS, and no server answer.
func TestUnansweredIsBounded(t *testing.T) {
	hello, answer := clientHello(t)
	c := newScript(t)
	c.Data(flow.ToServer, time.Unix(1, 0), []byte("a"))
	c.Data(flow.ToClient, time.Unix(1, 0), []byte("b"))
	c.sensor.unanswered = maxAllUnanswered - len(hello)
	c.Data(flow.ToServer, time.Unix(1, 0), hello)
	c.Data(flow.ToClient, time.Unix(1, 0), answer)
	if c.session != nil || c.got[flow.ToServer].Len() != 1+len(hello) || c.sensor.unanswered != maxAllUnanswered-len(hello) {
		t.Errorf("%d bytes are counted, %d were passed on", c.sensor.unanswered, c.got[flow.ToServer].Len())
	}
}

// FuzzLaterTLS has arbitrary segments behind a ClientHello: what is not taken for TLS is passed on as it is.
func FuzzLaterTLS(f *testing.F) {
	hello, answer := clientHello(f)
	f.Add(append(bytes.Clone(hello), answer...), []byte{0, 255, 0, 255, 0, 7, 1, 2, 1, 200})
	f.Add([]byte("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03\x15\x03\x01\x00\x02\x02"), []byte{0, 3, 0, 7, 1, 3, 1, 3})
	f.Fuzz(func(t *testing.T, b, plan []byte) {
		c := newScript(t)
		var want [2]bytes.Buffer
		send := func(dir flow.Direction, b []byte) {
			want[dir].Write(b)
			c.Data(dir, time.Unix(1, 0), bytes.Clone(b))
		}
		send(flow.ToServer, []byte("GET"))
		send(flow.ToClient, []byte("HTTP"))
		for ; len(plan) > 1 && len(b) > 0; plan = plan[2:] {
			n := min(1+int(plan[1]), len(b))
			send(flow.Direction(plan[0]&1), b[:n])
			b = b[n:]
		}
		c.Close(time.Unix(2, 0))
		if c.session == nil && (!bytes.Equal(want[0].Bytes(), c.got[0].Bytes()) || !bytes.Equal(want[1].Bytes(), c.got[1].Bytes())) {
			t.Errorf("sent %q and %q, passed on %q and %q", want[0].Bytes(), want[1].Bytes(), c.got[0].Bytes(), c.got[1].Bytes())
		}
		if c.sensor.unanswered != 0 {
			t.Errorf("%d bytes are still counted", c.sensor.unanswered)
		}
	})
}
