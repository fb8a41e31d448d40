package dns

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

// tape remembers what both sides of a conversation sent.
type tape struct {
	mu    sync.Mutex
	steps []parsetest.Step
}

func (t *tape) add(dir flow.Direction, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, parsetest.Step{Dir: dir, Data: slices.Clone(b)})
}

type taped struct {
	net.Conn
	*tape
}

func (c taped) Write(b []byte) (int, error) {
	c.add(flow.ToServer, b)
	return c.Conn.Write(b)
}

func (c taped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.add(flow.ToClient, b[:n])
	return n, err
}

// tapedPacket lets Go's resolver know that this is UDP.
type tapedPacket struct {
	taped
	net.PacketConn
}

func (c tapedPacket) Close() error                { return c.Conn.Close() }
func (c tapedPacket) LocalAddr() net.Addr         { return c.Conn.LocalAddr() }
func (c tapedPacket) Read(b []byte) (int, error)  { return c.taped.Read(b) }
func (c tapedPacket) Write(b []byte) (int, error) { return c.taped.Write(b) }

// answer answers a query as a name server would, with another encoder than ours. Over UDP a TXT answer is cut.
func answer(t *testing.T, query []byte, udp bool) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		t.Errorf("read query: %v", err)
		return nil
	}
	q, err := p.Question()
	if err != nil {
		t.Errorf("read question: %v", err)
		return nil
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: h.ID, Response: true, RecursionDesired: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	rh := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}
	add := func(b dnsmessage.ResourceBody) {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: rh, Body: b})
	}
	switch q.Type {
	case dnsmessage.TypeA:
		add(&dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}})
		add(&dnsmessage.AResource{A: [4]byte{192, 0, 2, 2}})
	case dnsmessage.TypeAAAA:
		add(&dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}})
	case dnsmessage.TypeMX:
		add(&dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("mail.example.com.")})
	case dnsmessage.TypeTXT:
		if m.Truncated = udp; !udp {
			for range 20 {
				add(&dnsmessage.TXTResource{TXT: []string{strings.Repeat("long ", 40)}})
			}
		}
	}
	b, err := m.Pack()
	if err != nil {
		t.Errorf("write answer: %v", err)
	}
	return b
}

func serveUDP(t *testing.T) net.Addr {
	s, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := s.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = s.WriteTo(answer(t, b[:n], true), from)
		}
	}()
	return s.LocalAddr()
}

func serveTCP(t *testing.T) net.Addr {
	s, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	go func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			var size [2]byte
			for {
				if _, err := io.ReadFull(c, size[:]); err != nil {
					break
				}
				b := make([]byte, int(size[0])<<8|int(size[1]))
				if _, err := io.ReadFull(c, b); err != nil {
					break
				}
				_, _ = c.Write(framed(answer(t, b, false)))
			}
			_ = c.Close()
		}
	}()
	return s.Addr()
}

// said is what the events of a conversation say.
type said struct {
	Name, Type, Code   string
	Answers, Addresses []string
}

// lookups returns what the events of conversations say, by type, and fails the test at any anomaly.
func lookups(t *testing.T, tapes []*tape, p parse.Protocol) []said {
	t.Helper()
	var all []said
	for _, tp := range tapes {
		for _, b := range parsetest.Bodies(t, tp.steps, p) {
			d, ok := b.(*event.DNS)
			if !ok {
				t.Fatalf("unexpected: %+v", b)
			}
			all = append(all, said{d.Name, d.Type, d.Code, d.Answers, d.Addresses})
		}
	}
	slices.SortFunc(all, func(a, b said) int { return strings.Compare(a.Type, b.Type) })
	return all
}

// TestGoResolver looks names up with Go's resolver and compares the events with what it returned.
func TestGoResolver(t *testing.T) {
	addr := map[string]net.Addr{"udp": serveUDP(t), "tcp": serveTCP(t)}
	var mu sync.Mutex
	tapes := map[string][]*tape{}
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		network = network[:3]
		c, err := new(net.Dialer).DialContext(ctx, network, addr[network].String())
		if err != nil {
			return nil, err
		}
		mine := new(tape)
		mu.Lock()
		tapes[network] = append(tapes[network], mine)
		mu.Unlock()
		if packets, ok := c.(net.PacketConn); ok {
			return tapedPacket{taped{c, mine}, packets}, nil
		}
		return taped{c, mine}, nil
	}}
	hosts, err := resolver.LookupHost(t.Context(), "www.example.com.")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resolver.LookupMX(t.Context(), "example.com."); err != nil {
		t.Fatal(err)
	}
	texts, err := resolver.LookupTXT(t.Context(), "example.com.")
	if err != nil || len(texts) != 20 {
		t.Fatalf("got %d texts, %v", len(texts), err)
	}

	got := lookups(t, tapes["udp"], UDP)
	want := []said{
		{Name: "www.example.com", Type: "A", Code: "NOERROR", Answers: []string{"www.example.com 60 A 192.0.2.1", "www.example.com 60 A 192.0.2.2"}, Addresses: []string{"192.0.2.1", "192.0.2.2"}},
		{Name: "www.example.com", Type: "AAAA", Code: "NOERROR", Answers: []string{"www.example.com 60 AAAA 2001:db8::1"}, Addresses: []string{"2001:db8::1"}},
		{Name: "example.com", Type: "MX", Code: "NOERROR", Answers: []string{"example.com 60 MX 10 mail.example.com"}},
		{Name: "example.com", Type: "TXT", Code: "NOERROR"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("over UDP (-want +got):\n%s", diff)
	}
	seen := slices.Concat(got[0].Addresses, got[1].Addresses)
	slices.Sort(seen)
	slices.Sort(hosts)
	if diff := cmp.Diff(hosts, seen); diff != "" {
		t.Errorf("addresses differ from what the resolver returned (-resolver +events):\n%s", diff)
	}
	text := said{Name: "example.com", Type: "TXT", Code: "NOERROR"}
	for _, s := range texts {
		text.Answers = append(text.Answers, `example.com 60 TXT "`+s+`"`)
	}
	if diff := cmp.Diff([]said{text}, lookups(t, tapes["tcp"], TCP)); diff != "" {
		t.Errorf("over TCP (-want +got):\n%s", diff)
	}
}
