package sourcetest

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/export"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
	"github.com/vitrine-ndr/vitrine/source"
)

// Wire is what a network carries of a conversation, and the session keys that its programs write.
type Wire struct {
	Packets []capture.Packet
	KeyLog  []byte
}

// Plain returns the packets of a conversation that nobody encrypts.
func Plain(c Conversation) *Wire {
	tap := newTap(c.Proto, 40000)
	for _, s := range c.Steps {
		tap.write(s.Dir, s.Data)
	}
	return tap.wire(nil)
}

// TLS has two programs hold the conversation over TLS and returns what went over the wire. The configuration needs the server's
// certificate; its version and suites are the test's choice.
func TLS(t testing.TB, c Conversation, cfg *tls.Config) *Wire {
	t.Helper()
	return TLSFrom(t, c, cfg, 40000)
}

// TLSFrom is TLS with a client port of one's own, for captures of many connections.
func TLSFrom(t testing.TB, c Conversation, cfg *tls.Config, port uint16) *Wire {
	t.Helper()
	return newTap(flow.TCP, port).tls(t, c, cfg, toS)
}

// TLSBehind is TLS that begins later: what is said before it is not encrypted.
func TLSBehind(t testing.TB, before []parsetest.Step, c Conversation, cfg *tls.Config) *Wire {
	t.Helper()
	tap := newTap(flow.TCP, 40000)
	for _, s := range before {
		tap.write(s.Dir, s.Data)
	}
	return tap.tls(t, c, cfg, toS)
}

// TLSReversed is TLS whose client is who accepted the connection, as in active FTP.
func TLSReversed(t testing.TB, c Conversation, cfg *tls.Config) *Wire {
	t.Helper()
	return newTap(flow.TCP, 40000).tls(t, c, cfg, toC)
}

// tls holds the conversation over TLS; the side that sends in the direction is its client.
func (t *tap) tls(tb testing.TB, c Conversation, cfg *tls.Config, client flow.Direction) *Wire {
	tb.Helper()
	var keys bytes.Buffer
	cfg = cfg.Clone()
	cfg.KeyLogWriter, cfg.InsecureSkipVerify = &keys, true // the client's; both sides know the same secrets
	server := cfg.Clone()
	server.KeyLogWriter = nil
	a, b := socketPair(tb)
	if client == toS {
		Perform(tb, c, tls.Client(&tapped{a, t, toS}, cfg), tls.Server(&tapped{b, t, toC}, server))
	} else {
		Perform(tb, c, tls.Server(&tapped{a, t, toS}, server), tls.Client(&tapped{b, t, toC}, cfg))
	}
	return t.wire(keys.Bytes())
}

// socketPair returns both ends of a connection: unlike net.Pipe it has buffers, which session tickets need.
func socketPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// tap turns bytes into packets of a connection from 192.0.2.1 to 192.0.2.2:443.
type tap struct {
	mu      sync.Mutex
	packets []capture.Packet
	stream  source.Stream
	now     time.Time
}

func newTap(proto flow.Proto, port uint16) *tap {
	t := &tap{now: time.Unix(1_700_000_000, 0)}
	c := flow.NewConn(0, flow.Tuple{
		Proto:  proto,
		Client: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.1"), Port: port},
		Server: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.2"), Port: 443},
	}, t.now)
	t.stream = export.PlainSink(nowhere{}, t, export.PlainOptions{}).Open(c)
	return t
}

// Append keeps a packet.
func (t *tap) Append(_ flow.ID, p *capture.Packet) {
	kept := *p
	kept.Data = slices.Clone(p.Data)
	t.packets = append(t.packets, kept)
}

func (t *tap) write(dir flow.Direction, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = t.now.Add(time.Millisecond)
	t.stream.Data(dir, t.now, b)
}

func (t *tap) wire(keyLog []byte) *Wire {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stream.Close(t.now)
	return &Wire{Packets: t.packets, KeyLog: keyLog}
}

// tapped is one end of a connection whose writes are seen.
type tapped struct {
	net.Conn
	tap *tap
	dir flow.Direction
}

func (c *tapped) Write(b []byte) (int, error) {
	c.tap.write(c.dir, b)
	return c.Conn.Write(b)
}

// nowhere is the Sink behind the tap.
type nowhere struct{}

func (nowhere) Open(*flow.Conn) source.Stream                           { return nowhere{} }
func (nowhere) Data(flow.Direction, time.Time, []byte) (v flow.Verdict) { return }
func (nowhere) Gap(flow.Direction, time.Time, int)                      {}
func (nowhere) Close(time.Time)                                         {}

// Reader returns the packets as a capture.
func (w *Wire) Reader() capture.Reader { return &reader{packets: w.Packets} }

type reader struct{ packets []capture.Packet }

func (r *reader) Read(p *capture.Packet) error {
	if len(r.packets) == 0 {
		return io.EOF
	}
	*p, r.packets = r.packets[0], r.packets[1:]
	return nil
}

func (r *reader) Close() error { return nil }
