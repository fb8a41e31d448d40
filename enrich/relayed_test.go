package enrich

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

// nowhere takes everything.
type nowhere struct{}

func (nowhere) Open(*flow.Conn) source.Stream                       { return nowhere{} }
func (nowhere) Data(flow.Direction, time.Time, []byte) flow.Verdict { return flow.Pass }
func (nowhere) Gap(flow.Direction, time.Time, int)                  {}
func (nowhere) Close(time.Time)                                     {}
func numbered(i int) flow.Tuple                                     { return tupleOf(uint16(i), byte(i>>16)) }
func tupleOf(port uint16, net byte) flow.Tuple {
	return flow.Tuple{
		Proto:  flow.TCP,
		Client: flow.Endpoint{IP: netip.AddrFrom4([4]byte{192, 0, net, 1}), Port: port},
		Server: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.2"), Port: 443},
	}
}

func TestRelayed(t *testing.T) {
	r := NewRelayed()
	r.Add(numbered(7))
	for name, c := range map[string]struct {
		tuple flow.Tuple
		state flow.Decrypted
		told  bool
	}{
		"of the gateway":               {numbered(7), flow.DecryptedNo, true},
		"seen the other way round":     {flow.Tuple{Proto: flow.TCP, Client: numbered(7).Server, Server: numbered(7).Client}, flow.DecryptedNo, true},
		"decrypted with a session key": {numbered(7), flow.DecryptedYes, false},
		"of others":                    {numbered(8), flow.DecryptedNo, false},
	} {
		conn := flow.NewConn(0, c.tuple, time.Now())
		s := r.Sensor(nowhere{}).Open(conn)
		conn.Decryption.State = c.state
		if s.Close(time.Now()); conn.Told != c.told {
			t.Errorf("%s: told elsewhere is %t", name, conn.Told)
		}
	}
}

// TestRelayedIsBounded has a long connection, and more others than are remembered.
func TestRelayedIsBounded(t *testing.T) {
	r := NewRelayed()
	r.Add(numbered(0))
	long := flow.NewConn(0, numbered(0), time.Now())
	s := r.Sensor(nowhere{}).Open(long)
	s.Data(flow.ToServer, time.Now(), []byte("x"))
	for i := range 3 * relayedConns {
		r.Add(numbered(i + 1))
	}
	if n := len(r.now) + len(r.old); n > 2*relayedConns {
		t.Errorf("%d are remembered", n)
	}
	if s.Close(time.Now()); !long.Told {
		t.Error("the long one was forgotten")
	}
}
