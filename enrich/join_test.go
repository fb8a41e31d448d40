package enrich

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

// ledger is a Sink that writes down what arrives.
type ledger struct {
	name  string
	mu    *sync.Mutex
	lines *[]string
}

func (l ledger) Open(c *flow.Conn) source.Stream { return &page{l, c} }

type page struct {
	ledger
	conn *flow.Conn
}

func (p *page) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*p.lines = append(*p.lines, p.name+" "+text)
}

func (p *page) Data(_ flow.Direction, _ time.Time, b []byte) flow.Verdict {
	p.note(string(b))
	return flow.Pass
}

func (p *page) Gap(flow.Direction, time.Time, int) { p.note("gap") }

func (p *page) Close(time.Time) {
	text := "end"
	if p.conn.Told {
		text += " told"
	}
	if p.conn.Process != nil {
		text += " of " + string(p.conn.Local) + " " + p.conn.Process.Name
	}
	if p.conn.TLS != nil {
		text += " " + string(p.conn.Decryption.State)
	}
	p.note(text)
}

var tuple = flow.Tuple{
	Proto:  flow.TCP,
	Client: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.1"), Port: 40000},
	Server: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.2"), Port: 443},
}

func TestJoin(t *testing.T) {
	probed := func(name string, side flow.Side) *flow.Conn {
		return &flow.Conn{
			Tuple: tuple, TLS: &flow.TLS{}, Process: &flow.Process{Name: name}, Local: side,
			Decryption: flow.Decryption{State: flow.DecryptedYes, Source: flow.FromProbe},
		}
	}
	captured := func() *flow.Conn {
		return &flow.Conn{Tuple: tuple, TLS: &flow.TLS{}, Decryption: flow.Decryption{State: flow.DecryptedNo}}
	}
	tests := map[string]struct {
		play func(probe, sensor source.Sink)
		want []string
	}{
		"both": {
			func(probe, sensor source.Sink) {
				p, s := probe.Open(probed("curl", flow.ClientSide)), sensor.Open(captured())
				p.Data(flow.ToServer, time.Time{}, []byte("a"))
				s.Data(flow.ToServer, time.Time{}, []byte("a"))
				s.Gap(flow.ToServer, time.Time{}, 1)
				p.Close(time.Time{})
				s.Close(time.Time{})
			},
			[]string{"probe a", "sensor end of client curl yes", "probe end told of client curl yes"},
		},
		"the sensor comes later": {
			func(probe, sensor source.Sink) {
				probe.Open(probed("curl", flow.ClientSide)).Close(time.Time{})
				time.Sleep(time.Second)
				s := sensor.Open(captured())
				time.Sleep(time.Second)
				s.Close(time.Time{})
			},
			[]string{"probe end told of client curl yes", "sensor end of client curl yes"},
		},
		"both ends are programs of this machine": {
			func(probe, sensor source.Sink) {
				a, b := probe.Open(probed("nginx", flow.ServerSide)), probe.Open(probed("curl", flow.ClientSide))
				s := sensor.Open(captured())
				a.Close(time.Time{})
				b.Close(time.Time{})
				s.Close(time.Time{})
			},
			[]string{"sensor end of client curl yes", "probe end told of server nginx yes", "probe end told of client curl yes"},
		},
		"the sensor takes the server for the client": {
			func(probe, sensor source.Sink) {
				c := captured()
				c.Tuple.Client, c.Tuple.Server = tuple.Server, tuple.Client
				p, s := probe.Open(probed("curl", flow.ClientSide)), sensor.Open(c)
				p.Close(time.Time{})
				s.Close(time.Time{})
			},
			[]string{"sensor end of server curl yes", "probe end told of client curl yes"},
		},
		"another process with the addresses of one that the sensor has missed": {
			func(probe, sensor source.Sink) {
				probe.Open(probed("postgres", flow.ServerSide)).Close(time.Time{})
				time.Sleep(2 * patience)
				p, s := probe.Open(probed("nginx", flow.ServerSide)), sensor.Open(captured())
				p.Close(time.Time{})
				s.Close(time.Time{})
			},
			[]string{"probe end of server postgres yes", "sensor end of server nginx yes", "probe end told of server nginx yes"},
		},
		"the probe alone": {
			func(probe, _ source.Sink) { probe.Open(probed("curl", flow.ClientSide)).Close(time.Time{}) },
			[]string{"probe end of client curl yes"},
		},
		"the sensor alone": {
			func(_, sensor source.Sink) {
				s := sensor.Open(captured())
				s.Data(flow.ToServer, time.Time{}, []byte("a"))
				s.Close(time.Time{})
			},
			[]string{"sensor a", "sensor end no"},
		},
		"a later connection of the same addresses": {
			func(probe, sensor source.Sink) {
				p, s := probe.Open(probed("curl", flow.ClientSide)), sensor.Open(captured())
				p.Close(time.Time{})
				s.Close(time.Time{})
				time.Sleep(2 * time.Second)
				s = sensor.Open(captured())
				s.Data(flow.ToServer, time.Time{}, []byte("b"))
				s.Close(time.Time{})
			},
			[]string{"sensor end of client curl yes", "probe end told of client curl yes", "sensor b", "sensor end no"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lines []string
				j := New()
				ctx, cancel := context.WithCancel(t.Context())
				go j.Run(ctx)
				var mu sync.Mutex
				tt.play(j.Probe(ledger{"probe", &mu, &lines}), j.Sensor(ledger{"sensor", &mu, &lines}))
				time.Sleep(2 * patience)
				cancel()
				synctest.Wait()
				if diff := cmp.Diff(tt.want, lines); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		})
	}
}

func TestJoinForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		j := New()
		go j.Run(t.Context())
		j.Sensor(ledger{"sensor", new(sync.Mutex), &lines}).Open(&flow.Conn{Tuple: tuple}).Close(time.Time{})
		time.Sleep(2 * memory)
		wantRemembered(t, j, 0)
	})
}

// TestJoinForgetsAtOnce ends connections as fast as they come: none needs to be remembered that both sides have told the end of.
func TestJoinForgetsAtOnce(t *testing.T) {
	var lines []string
	j, mu := New(), new(sync.Mutex)
	probe, sensor := j.Probe(ledger{"probe", mu, &lines}), j.Sensor(ledger{"sensor", mu, &lines})
	for port := range uint16(100) {
		there := tuple
		there.Client.Port += port
		p, s := probe.Open(&flow.Conn{Tuple: there}), sensor.Open(&flow.Conn{Tuple: there})
		p.Close(time.Time{})
		wantRemembered(t, j, 1)
		s.Close(time.Time{})
		wantRemembered(t, j, 0)
	}
}

func wantRemembered(t *testing.T, j *Join, want int) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.conns); n != want {
		t.Errorf("%d connections are remembered, want %d", n, want)
	}
}

func TestFlush(t *testing.T) {
	var lines []string
	j := New()
	j.Probe(ledger{"probe", new(sync.Mutex), &lines}).Open(&flow.Conn{Tuple: tuple}).Close(time.Time{})
	if j.Flush(); !slices.Equal(lines, []string{"probe end"}) {
		t.Errorf("after Flush: %q", lines)
	}
}
