package inspect

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/source"
)

// announcer expects a connection for each line: "server 192.0.2.9:21 name".
type announcer struct{ out parse.Output }

func (a *announcer) Parse(_ flow.Direction, b []byte) (int, error) {
	f := strings.Fields(string(b))
	at := parse.Listener{Side: flow.ToServer}
	if f[0] == "client" {
		at.Side = flow.ToClient
	}
	if to, err := netip.ParseAddrPort(f[1]); err == nil {
		at.Address, at.Port = to.Addr(), to.Port()
	} else {
		fmt.Sscanf(f[1], ":%d", &at.Port)
	}
	a.out.Expect(at, "awaited", &parse.Upgrade{URL: f[2]})
	return len(b), nil
}

func (*announcer) Gap(flow.Direction, int) error { return nil }
func (*announcer) End()                          {}

// awaited tells of what announced it.
type awaited struct{ out parse.Output }

func (*awaited) Parse(_ flow.Direction, b []byte) (int, error) { return len(b), nil }
func (*awaited) Gap(flow.Direction, int) error                 { return nil }
func (a *awaited) End() {
	a.out.Emit(&event.HTTP{URL: a.out.Upgrade.URL, Host: a.out.Upgrade.Conn.String()})
}

// exchange is an Inspector with one control connection.
type exchange struct {
	*Inspector
	got     []string
	control source.Stream
	id      flow.ID
}

func tuple(client, server string) flow.Tuple {
	c, s := netip.MustParseAddrPort(client), netip.MustParseAddrPort(server)
	return flow.Tuple{Proto: flow.TCP, Client: flow.Endpoint{IP: c.Addr(), Port: c.Port()}, Server: flow.Endpoint{IP: s.Addr(), Port: s.Port()}}
}

func newExchange() *exchange {
	x := &exchange{}
	never := func(flow.Direction, []byte) parse.Match { return parse.No }
	x.Inspector = New(Config{
		Protocols: []parse.Protocol{
			{Name: "announcer", Probe: first("s"), New: func(o parse.Output) parse.Parser { return &announcer{o} }},
			{Name: "lines", Probe: first("LINES\n"), New: func(o parse.Output) parse.Parser { return &lines{o} }},
			{Name: "awaited", Probe: never, New: func(o parse.Output) parse.Parser { return &awaited{o} }},
		},
		Unknown: parse.Protocol{Name: "unknown", New: func(o parse.Output) parse.Parser { return &nothing{o} }},
		Limits:  parse.DefaultLimits, Time: time.Second,
		Emit: func(e *event.Event) {
			switch b := e.Body.(type) {
			case *event.HTTP:
				x.got = append(x.got, strings.TrimSuffix(e.Proto+" "+b.URL, " "))
				if e.Proto == "awaited" && b.Host != x.id.String() {
					x.got = append(x.got, "of "+b.Host)
				}
			case *event.Unknown:
				x.got = append(x.got, "unknown")
			}
		},
	})
	c := flow.NewConn(0, tuple("10.0.0.1:40000", "[::ffff:192.0.2.1]:21"), time.Unix(0, 0))
	x.control, x.id = x.Open(c), c.ID
	x.control.Data(toS, time.Unix(0, 0), []byte("server :1 nobody")) // begins as an announcer does
	return x
}

// announce says what the control connection announces.
func (x *exchange) announce(what string) { x.control.Data(toC, time.Unix(0, 0), []byte(what)) }

// connect is a connection that says something.
func (x *exchange) connect(client, server, say string, at time.Time) {
	s := x.Open(flow.NewConn(0, tuple(client, server), at))
	if say != "" {
		s.Data(toC, at, []byte(say))
	}
	s.Close(at)
}

func TestExpectedConnections(t *testing.T) {
	soon := time.Unix(1, 0)
	for name, tt := range map[string]struct {
		do   func(*exchange)
		want []string
	}{
		"passive": {func(x *exchange) {
			x.announce("server :2000 a")
			x.connect("10.0.0.1:40001", "192.0.2.1:2000", "LINES\n", soon) // whatever it says
			x.connect("10.0.0.1:40002", "192.0.2.1:2000", "hello", soon)   // expected once
		}, []string{"awaited a", "unknown"}},
		"without content": {func(x *exchange) {
			x.announce("server :2000 a")
			x.connect("10.0.0.1:40001", "192.0.2.1:2000", "", soon)
		}, []string{"awaited a"}},
		"active": {func(x *exchange) {
			x.announce("client 10.0.0.1:2000 a")
			x.connect("192.0.2.1:20", "10.0.0.1:2000", "hello", soon)
		}, []string{"awaited a"}},
		"translated": {func(x *exchange) { // the server tells its own address, we see that of its gateway
			x.announce("server 172.16.0.1:2000 a")
			x.connect("10.0.0.1:40001", "192.0.2.1:2000", "LINES\n", soon)
		}, []string{"awaited a"}},
		"another host": {func(x *exchange) {
			x.announce("server 172.16.0.1:2000 a")
			x.connect("10.0.0.1:40001", "172.16.0.1:2000", "hello", soon)
		}, []string{"awaited a"}},
		"another host, hidden": {func(x *exchange) {
			x.announce("server 172.16.0.1:2000 a")
			x.connect("10.0.0.1:40001", "172.16.0.1:2000", "LINES\n", soon)
		}, []string{"lines LINES", "lines"}},
		"another port": {func(x *exchange) {
			x.announce("server :2000 a")
			x.connect("10.0.0.1:40001", "192.0.2.1:2001", "hello", soon)
		}, []string{"unknown"}},
		"announced anew": {func(x *exchange) {
			x.announce("server :2000 a")
			x.announce("server :2001 b")
			x.connect("10.0.0.1:40001", "192.0.2.1:2000", "hello", soon)
			x.connect("10.0.0.1:40002", "192.0.2.1:2001", "hello", soon)
		}, []string{"unknown", "awaited b"}},
		"too late": {func(x *exchange) {
			x.announce("server :2000 a")
			x.connect("10.0.0.1:40001", "192.0.2.1:2000", "hello", time.Unix(0, 0).Add(expectedTime+1))
		}, []string{"unknown"}},
		"behind its end": {func(x *exchange) {
			x.announce("server :2000 a")
			x.control.Close(soon)
			x.connect("10.0.0.1:40001", "192.0.2.1:2000", "hello", soon)
		}, []string{"unknown"}},
		"opened before it was announced": {func(x *exchange) {
			s := x.Open(flow.NewConn(0, tuple("10.0.0.1:40001", "192.0.2.1:2000"), soon))
			x.announce("server :2000 a")
			s.Data(toC, soon, []byte("LINES\n"))
			s.Close(soon)
		}, []string{"awaited a"}},
	} {
		t.Run(name, func(t *testing.T) {
			x := newExchange()
			tt.do(x)
			if diff := cmp.Diff(tt.want, x.got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestExpectationsAreBounded announces more than there is room for, and then something long afterwards.
func TestExpectationsAreBounded(t *testing.T) {
	var e expectations
	at := func(n int) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(n)) }
	for n := range 2 * maxExpected {
		e.add(&expectation{name: fmt.Sprint(n), at: [2]netip.AddrPort{at(n), at(n)}, until: time.Unix(0, 0).Add(expectedTime)}, nil)
	}
	if len(e.by) != maxExpected || e.order.Len() != maxExpected || e.waiting.Load() != maxExpected {
		t.Errorf("%d and %d are kept, %d counted", len(e.by), e.order.Len(), e.waiting.Load())
	}
	if e.take(place{at: at(0)}, time.Unix(0, 0)) != nil || e.take(place{at: at(2*maxExpected - 1)}, time.Unix(0, 0)) == nil {
		t.Error("the newest should be kept")
	}
	e.add(&expectation{at: [2]netip.AddrPort{at(1), at(1)}, until: time.Unix(1000, 0)}, nil)
	if len(e.by) != 1 || e.waiting.Load() != 1 {
		t.Errorf("%d are kept when all but one have expired", len(e.by))
	}
}
