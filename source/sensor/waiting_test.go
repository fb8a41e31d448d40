package sensor

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/decrypt"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/reassembly"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/sourcetest"
)

// crowd returns a sensor in which n connections wait for keys that do not come, and a packet of none of them.
func crowd(t testing.TB, n int, keys decrypt.Keys) (*Sensor, *capture.Packet) {
	t.Helper()
	w := sourcetest.TLS(t, sourcetest.All()[0], configs(t)["TLS 1.3"])
	s := New(Config{Keys: keys, HeldBytes: DefaultHeldBytes}, testkit.Logger(t))
	o := &opener{s, silent{}}
	s.assembler = reassembly.New(reassembly.DefaultConfig(), o)
	for i := range n {
		at := w.Packets[0].Time
		st := o.Open(flow.NewConn(0, flow.Tuple{Proto: flow.TCP,
			Client: flow.Endpoint{IP: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Port: 40000},
			Server: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.2"), Port: 443},
		}, at)).(*stream)
		for _, p := range w.Packets {
			dir, payload := flow.ToClient, p.Data[40:] // behind IPv4 and TCP
			if binary.BigEndian.Uint16(p.Data[22:]) == 443 {
				dir = flow.ToServer
			}
			if len(payload) > 0 {
				st.Data(dir, p.Time, payload)
			}
			if st.list != nil {
				break
			}
		}
	}
	if s.waiting() != n {
		t.Fatalf("%d connections wait, want %d", s.waiting(), n)
	}
	return s, &sourcetest.Plain(sourcetest.All()[0]).Packets[0]
}

// silent is a Sink that keeps nothing.
type silent struct{}

func (silent) Open(*flow.Conn) source.Stream                       { return silent{} }
func (silent) Data(flow.Direction, time.Time, []byte) flow.Verdict { return flow.Pass }
func (silent) Gap(flow.Direction, time.Time, int)                  {}
func (silent) Close(time.Time)                                     {}

// TestKeysComplete has connections without keys, and no room for them: nobody waits for a key that can't come, and memory is not blamed.
func TestKeysComplete(t *testing.T) {
	const conns = 5
	w := &sourcetest.Wire{}
	for i := range conns {
		one := sourcetest.TLSFrom(t, sourcetest.All()[0], configs(t)["TLS 1.3"], uint16(40_000+i))
		w.Packets = append(w.Packets, one.Packets...)
	}
	s := newSensor(t, w)
	s.cfg.HeldBytes = 1000
	ended := 0
	r := &lateKeys{Reader: w.Reader(), left: len(w.Packets), then: func() { ended = int(s.Stats().TLS) }}
	s.cfg.Inputs[0].Open = func() (capture.Reader, error) { return r, nil }
	s.KeysComplete()
	play(t, s)
	if st := s.Stats(); ended < conns-1 || st.Reasons[flow.NoKey] != conns {
		t.Errorf("before the last packet %d connections had ended; counted %+v", ended, st)
	}
}

// strangers are Keys of which another comes whenever one asks; none opens anything.
type strangers struct{ generation, asked uint64 }

func (k *strangers) Generation() uint64 { k.generation++; return k.generation }

func (k *strangers) Secrets([32]byte) []decrypt.Secret { k.asked++; return nil }

// TestKeysOfOthersCostLittle has keys of other connections come with each packet, while many connections wait.
func TestKeysOfOthersCostLittle(t *testing.T) {
	const conns, packets = 300, 3000
	keys := &strangers{}
	s, p := crowd(t, conns, keys)
	keys.asked = 0
	for range packets {
		s.packet(p)
	}
	if keys.asked == 0 || keys.asked > packets+conns {
		t.Errorf("%d connections waited for %d packets and asked for keys %d times", conns, packets, keys.asked)
	}
}

// BenchmarkManyWaiting has a key of another connection and a packet come while 20,000 connections wait.
func BenchmarkManyWaiting(b *testing.B) {
	keys := keylog.NewStore(keylog.DefaultSessions)
	s, p := crowd(b, 20_000, keys)
	line := []byte("CLIENT_RANDOM 0000000000000000000000000000000000000000000000000000000000000000 01\n")
	var random [32]byte
	for n := uint64(0); b.Loop(); n++ {
		binary.BigEndian.PutUint64(random[:], n)
		hex.Encode(line[len("CLIENT_RANDOM "):], random[:])
		keys.Add(line)
		s.packet(p)
	}
}
