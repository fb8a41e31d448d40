package sensor

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
	"github.com/vitrine-ndr/vitrine/reassembly"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/sourcetest"
)

func TestContractWithoutTLS(t *testing.T) {
	sourcetest.Run(t, sourcetest.All(), func(t testing.TB, c sourcetest.Conversation) source.Source {
		return newSensor(t, sourcetest.Plain(c))
	})
}

func TestContractWithTLS(t *testing.T) {
	for name, cfg := range configs(t) {
		t.Run(name, func(t *testing.T) {
			sourcetest.Run(t, sourcetest.All(), func(t testing.TB, c sourcetest.Conversation) source.Source {
				if c.Proto != flow.TCP {
					return newSensor(t, sourcetest.Plain(c))
				}
				return newSensor(t, sourcetest.TLS(t, c, cfg))
			})
		})
	}
}

// configs are what TLS connections of this test negotiate.
func configs(t testing.TB) map[string]*tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), DNSNames: []string{"shop.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	base := tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ServerName: "shop.example"}
	with := func(version uint16, suites ...uint16) *tls.Config {
		c := base.Clone()
		c.MinVersion, c.MaxVersion, c.CipherSuites = version, version, suites
		return c
	}
	return map[string]*tls.Config{
		"TLS 1.2 AES":    with(tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
		"TLS 1.2 ChaCha": with(tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
		"TLS 1.3":        with(tls.VersionTLS13),
	}
}

func newSensor(t testing.TB, w *sourcetest.Wire) *Sensor {
	t.Helper()
	keys := keylog.NewStore(100)
	keys.Add(w.KeyLog)
	return New(Config{
		Inputs:     []Input{{Name: "test", Open: func() (capture.Reader, error) { return w.Reader(), nil }}},
		Keys:       keys,
		HeldBytes:  DefaultHeldBytes,
		Reassembly: reassembly.DefaultConfig(),
	}, testkit.Logger(t))
}

// play runs the sensor and returns the records of what it saw.
func play(t testing.TB, s *Sensor) (records []*event.Record) {
	t.Helper()
	sink := inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Time: inspect.DefaultTime,
		Emit: func(e *event.Event) { records = append(records, e.Record()) },
	})
	if err := s.Run(t.Context(), sink); err != nil {
		t.Fatal(err)
	}
	return records
}

func TestFactsAndReasons(t *testing.T) {
	web := sourcetest.All()[0]
	tests := map[string]struct {
		spoil func(*sourcetest.Wire)
		want  flow.Decryption
	}{
		"all there":        {func(*sourcetest.Wire) {}, flow.Decryption{State: flow.DecryptedYes, Source: flow.FromKeys}},
		"no key":           {func(w *sourcetest.Wire) { w.KeyLog = nil }, flow.Decryption{State: flow.DecryptedNo, Reason: flow.NoKey}},
		"ClientHello lost": {func(w *sourcetest.Wire) { w.Packets = append(w.Packets[:3:3], w.Packets[4:]...) }, flow.Decryption{State: flow.DecryptedNo, Reason: flow.GapInRecords}},
		"handshake unseen": {func(w *sourcetest.Wire) { w.Packets = fromApplicationData(w.Packets) }, flow.Decryption{State: flow.DecryptedNo, Reason: flow.Midstream}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := sourcetest.TLS(t, web, configs(t)["TLS 1.3"])
			tt.spoil(w)
			s := newSensor(t, w)
			records := play(t, s)
			var seen *event.Record
			for _, r := range records {
				if r.Kind == event.KindTLS {
					seen = r
				}
			}
			if seen == nil {
				t.Fatalf("there is no TLS event among %d", len(records))
			}
			if seen.Decryption != tt.want {
				t.Errorf("got %+v, want %+v", seen.Decryption, tt.want)
			}
			if (tt.want.Reason == "" || tt.want.Reason == flow.NoKey) && seen.TLS.SNI != "shop.example" {
				t.Errorf("SNI is %q", seen.TLS.SNI)
			}
			if st := s.Stats(); st.TLS != 1 || (st.Decrypted == 1) != (tt.want.State == flow.DecryptedYes) || st.Waiting != 0 {
				t.Errorf("counted %+v", st)
			}
		})
	}
}

// fromApplicationData leaves out all packets before the first that begins with a record of application data.
func fromApplicationData(packets []capture.Packet) []capture.Packet {
	for i, p := range packets {
		if len(p.Data) > 45 && bytes.Equal(p.Data[40:43], []byte{23, 3, 3}) {
			return packets[i:]
		}
	}
	return nil
}

// TestLostPacketsAreGaps loses each packet of a decrypted connection in turn: the sensor says so, and what it tells is consistent.
func TestLostPacketsAreGaps(t *testing.T) {
	whole := sourcetest.TLS(t, sourcetest.All()[0], configs(t)["TLS 1.3"])
	for i := range whole.Packets {
		w := &sourcetest.Wire{KeyLog: whole.KeyLog}
		w.Packets = append(append(w.Packets, whole.Packets[:i]...), whole.Packets[i+1:]...)
		s := newSensor(t, w)
		play(t, s)
		if st := s.Stats(); st.TLS > 1 || st.HeldBytes != 0 || st.Waiting != 0 {
			t.Errorf("without packet %d: counted %+v", i, st)
		}
	}
}

// TestKeysMayComeLate gives the keys once all packets but the last were read.
func TestKeysMayComeLate(t *testing.T) {
	w := sourcetest.TLS(t, sourcetest.All()[0], configs(t)["TLS 1.3"])
	keys := keylog.NewStore(100)
	r := &lateKeys{Reader: w.Reader(), left: len(w.Packets) - 1, then: func() { keys.Add(w.KeyLog) }}
	s := New(Config{
		Inputs:    []Input{{Name: "test", Open: func() (capture.Reader, error) { return r, nil }}},
		Keys:      keys,
		HeldBytes: DefaultHeldBytes, Reassembly: reassembly.DefaultConfig(),
	}, testkit.Logger(t))
	n := 0
	for _, rec := range play(t, s) {
		if rec.HTTP != nil && rec.HTTP.State == event.Complete {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d transactions were restored, want 2", n)
	}
}

// TestKeylessTrafficLeavesRoom fills the memory with connections that never get a key: one whose key comes in a moment is decrypted all
// the same, and those that have waited for longest gave way.
func TestKeylessTrafficLeavesRoom(t *testing.T) {
	const keyless = 12
	for name, tt := range map[string]struct {
		apart  time.Duration // that they begin
		reason flow.Reason
	}{
		"in a moment": {time.Millisecond, flow.OverMemory},
		"in a minute": {5 * time.Second, flow.NoKey},
	} {
		t.Run(name, func(t *testing.T) {
			web, cfg := sourcetest.All()[0], configs(t)["TLS 1.3"]
			var packets []capture.Packet
			for i := range keyless {
				w := sourcetest.TLSFrom(t, web, cfg, uint16(50_000+i))
				for _, p := range w.Packets[:len(w.Packets)-3] { // it does not end
					p.Time = p.Time.Add(time.Duration(i-keyless) * tt.apart)
					packets = append(packets, p)
				}
			}
			w := sourcetest.TLS(t, web, cfg)
			packets = append(packets, w.Packets...)
			keys := keylog.NewStore(100)
			r := &lateKeys{Reader: (&sourcetest.Wire{Packets: packets}).Reader(), left: len(packets) - 5, then: func() { keys.Add(w.KeyLog) }}
			s := New(Config{
				Inputs: []Input{{Name: "test", Open: func() (capture.Reader, error) { return r, nil }}},
				Keys:   keys, HeldBytes: 3 * sizeOf(w), Reassembly: reassembly.DefaultConfig(),
			}, testkit.Logger(t))
			play(t, s)
			st := s.Stats()
			if st.TLS != keyless+1 || st.Decrypted != 1 || st.Partial != 0 {
				t.Errorf("counted %+v", st)
			}
			if early := st.Reasons[tt.reason]; early < keyless-4 {
				t.Errorf("%d gave way, reasons %v", early, st.Reasons)
			}
		})
	}
}

// sizeOf returns the bytes of all packets.
func sizeOf(w *sourcetest.Wire) (n int64) {
	for _, p := range w.Packets {
		n += int64(len(p.Data))
	}
	return n
}

func TestIgnoredConversationsLeaveNoTrace(t *testing.T) {
	w := sourcetest.Plain(sourcetest.All()[0])
	s := newSensor(t, w)
	s.cfg.Ignore = func(t flow.Tuple) bool { return t.Server.Port == 443 }
	s.cfg.Recorder = recorderFunc(func(flow.ID, *capture.Packet) { t.Error("a packet was recorded") })
	if records := play(t, s); len(records) != 0 {
		t.Errorf("got %d events", len(records))
	}
	if st := s.Stats(); st.Segments != uint64(len(w.Packets)) {
		t.Errorf("%d segments of %d were read", st.Segments, len(w.Packets))
	}
}

// TestKernelCountersOutliveTheirInput reads an input that fails and is opened anew: nothing that its kernel counted is forgotten.
func TestKernelCountersOutliveTheirInput(t *testing.T) {
	s := newSensor(t, sourcetest.Plain(sourcetest.All()[0]))
	opened := 0
	s.cfg.Inputs[0].Open = func() (capture.Reader, error) {
		opened++
		return &failing{capture.LiveStats{Received: 10, Dropped: uint64(opened)}}, nil
	}
	for range 3 {
		if err := s.read(t.Context(), s.cfg.Inputs[0]); err == nil {
			t.Fatal("the input did not fail")
		}
	}
	if st := s.Stats(); st.Received != 30 || st.Dropped != 6 {
		t.Errorf("%d received, %d dropped; want 30 and 6", st.Received, st.Dropped)
	}
}

// failing is an interface that goes down at once.
type failing struct{ stats capture.LiveStats }

func (f *failing) Read(*capture.Packet) error { return capture.ErrDown }
func (f *failing) Stats() capture.LiveStats   { return f.stats }
func (f *failing) Close() error               { return nil }

type recorderFunc func(flow.ID, *capture.Packet)

func (f recorderFunc) Append(id flow.ID, p *capture.Packet) { f(id, p) }

// lateKeys calls then before the last packet.
type lateKeys struct {
	capture.Reader
	left int
	then func()
}

func (l *lateKeys) Read(p *capture.Packet) error {
	if l.left--; l.left == 0 {
		l.then()
	}
	return l.Reader.Read(p)
}
