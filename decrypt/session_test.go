package decrypt_test

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/decrypt"
	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/flow"
)

// rechunk cuts the chunks anew at random, keeping the order of the directions.
func rechunk(rng *rand.Rand, chunks []chunk, most int) []chunk {
	var out []chunk
	for _, c := range chunks {
		for b := c.b; len(b) > 0; {
			n := min(len(b), 1+rng.IntN(most))
			out = append(out, chunk{c.dir, c.at, b[:n]})
			b = b[n:]
		}
	}
	return out
}

// records cuts the chunks into records.
func records(t testing.TB, chunks []chunk) []chunk {
	t.Helper()
	var rest [2][]byte
	var out []chunk
	for _, c := range chunks {
		b := append(rest[c.dir], c.b...)
		for len(b) >= handshake.HeaderLen {
			h, err := handshake.ParseHeader(b)
			if err != nil {
				t.Fatal(err)
			}
			end := handshake.HeaderLen + h.Length
			if end > len(b) {
				break
			}
			out = append(out, chunk{c.dir, c.at, b[:end:end]})
			b = b[end:]
		}
		rest[c.dir] = slices.Clip(b)
	}
	return out
}

func tls13(t testing.TB, turns ...turn) *recording {
	t.Helper()
	return talk(t, &tls.Config{MinVersion: tls.VersionTLS13}, &tls.Config{}, turns...)
}

func tls12(t testing.TB, suite uint16, turns ...turn) *recording {
	t.Helper()
	return talk(t, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}, &tls.Config{}, turns...)
}

// eachKind runs a test over the three ways in which records are numbered.
func eachKind(t *testing.T, run func(t *testing.T, rec *recording)) {
	t.Helper()
	t.Run("TLS 1.3", func(t *testing.T) { run(t, tls13(t, dialogue...)) })
	t.Run("TLS 1.2 GCM", func(t *testing.T) { run(t, tls12(t, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dialogue...)) })
	t.Run("TLS 1.2 ChaCha20", func(t *testing.T) {
		run(t, tls12(t, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, dialogue...))
	})
}

func TestAnyChunking(t *testing.T) {
	eachKind(t, func(t *testing.T, rec *recording) {
		keys := storeOf(rec.keys.Bytes())
		for seed := range uint64(60) {
			rng := rand.New(rand.NewPCG(seed, 1))
			s, h := replay(keys, rechunk(rng, rec.chunks, 1<<(seed%16)))
			mustHear(t, rec, s, h)
		}
	})
}

func TestTimesAreThoseOfTheWire(t *testing.T) {
	rec := tls13(t, turn{flow.ToServer, []byte("one")}, turn{flow.ToServer, []byte("two")})
	_, now := replay(storeOf(rec.keys.Bytes()), rec.chunks)
	keys := keylog.NewStore(10)
	late := &heard{}
	s := newWorker(keys).NewSession(late)
	for _, c := range rec.chunks {
		s.Data(c.dir, c.at, c.b)
	}
	keys.Add(rec.keys.Bytes())
	s.Retry()
	if diff := cmp.Diff(now.times, late.times); diff != "" || len(now.times[flow.ToServer]) != 2 {
		t.Errorf("with keys before and after (-before +after):\n%s", diff)
	}
}

func TestLateKeys(t *testing.T) {
	eachKind(t, func(t *testing.T, rec *recording) {
		for at := range len(rec.chunks) + 1 {
			keys := keylog.NewStore(10)
			h := &heard{}
			s := newWorker(keys).NewSession(h)
			for i, c := range rec.chunks {
				if i == at {
					keys.Add(rec.keys.Bytes())
					s.Retry()
				}
				s.Data(c.dir, c.at, c.b)
			}
			keys.Add(rec.keys.Bytes())
			s.Close(time.Time{})
			mustHear(t, rec, s, h)
			if s.Waiting() {
				t.Error("still waits")
			}
		}
	})
}

// TestKeysLineByLine lets one line of the key log come after another, in every rotation.
func TestKeysLineByLine(t *testing.T) {
	rec := tls13(t, dialogue...)
	lines := strings.SplitAfter(strings.TrimSpace(rec.keys.String()), "\n")
	for turn := range lines {
		keys := keylog.NewStore(10)
		h := &heard{}
		s := newWorker(keys).NewSession(h)
		next := 0
		for i, c := range rec.chunks {
			s.Data(c.dir, c.at, c.b)
			if i%2 == 1 && next < len(lines) {
				keys.Add([]byte(lines[(turn+next)%len(lines)]))
				next++
				s.Retry()
			}
		}
		for ; next < len(lines); next++ {
			keys.Add([]byte(lines[(turn+next)%len(lines)]))
		}
		s.Close(time.Time{})
		mustHear(t, rec, s, h)
	}
}

func TestNoKeys(t *testing.T) {
	eachKind(t, func(t *testing.T, rec *recording) {
		s, h := replay(keylog.NewStore(10), rec.chunks)
		facts, d := s.Facts()
		if want := (flow.Decryption{State: flow.DecryptedNo, Reason: flow.NoKey}); d != want {
			t.Errorf("got %+v", d)
		}
		if said := uint64(len(rec.said[0]) + len(rec.said[1])); facts.LostBytes < said || facts.LostBytes > said+4000 {
			t.Errorf("got %d lost bytes of %d said", facts.LostBytes, said)
		}
		if len(h.plain[0])+len(h.plain[1]) > 0 {
			t.Error("heard something")
		}
	})
}

// randomOf returns the client random of a key log.
func randomOf(rec *recording) string { return strings.Fields(rec.keys.String())[1] }

// wrong returns every line of the key log with another value.
func wrong(rec *recording, value func(n int) []byte) []byte {
	var out []byte
	for line := range strings.Lines(rec.keys.String()) {
		f := strings.Fields(line)
		out = fmt.Appendf(out, "%s %s %s\n", f[0], f[1], hex.EncodeToString(value(len(f[2])/2)))
	}
	return out
}

func TestWrongKeys(t *testing.T) {
	eachKind(t, func(t *testing.T, rec *recording) {
		t.Run("alone", func(t *testing.T) {
			s, h := replay(storeOf(wrong(rec, text)), rec.chunks)
			if _, d := s.Facts(); d != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.BadTag}) {
				t.Errorf("got %+v", d)
			}
			if len(h.plain[0])+len(h.plain[1]) > 0 {
				t.Error("heard something")
			}
		})
		t.Run("before the right ones", func(t *testing.T) {
			keys := storeOf(wrong(rec, text))
			keys.Add(wrong(rec, func(n int) []byte { return make([]byte, n) }))
			keys.Add(wrong(rec, func(n int) []byte { return bytes.Repeat([]byte{1}, n-1) }))
			keys.Add(rec.keys.Bytes())
			keys.Add(rec.keys.Bytes())
			s, h := replay(keys, rec.chunks)
			mustHear(t, rec, s, h)
		})
		t.Run("first, the right ones in the middle", func(t *testing.T) {
			keys := storeOf(wrong(rec, text))
			h := &heard{}
			s := newWorker(keys).NewSession(h)
			for i, c := range rec.chunks {
				s.Data(c.dir, c.at, c.b)
				if i == len(rec.chunks)/2 {
					keys.Add(rec.keys.Bytes())
					s.Retry()
				}
			}
			s.Close(time.Time{})
			mustHear(t, rec, s, h)
		})
	})
}

// TestKeyAfterGiveUp lets the key come when some ciphertext was given up already: the rest opens.
func TestKeyAfterGiveUp(t *testing.T) {
	eachKind(t, func(t *testing.T, rec *recording) {
		keys := keylog.NewStore(10)
		h := &heard{}
		s := newWorker(keys).NewSession(h)
		for i, c := range rec.chunks {
			s.Data(c.dir, c.at, c.b)
			if i == len(rec.chunks)-8 {
				s.GiveUp(flow.NoKey)
				if _, d := s.Facts(); d.Reason != flow.NoKey || d.State != flow.DecryptedNo {
					t.Errorf("after giving up: %+v", d)
				}
				keys.Add(rec.keys.Bytes())
			}
		}
		s.Close(time.Time{})
		_, d := s.Facts()
		if d != (flow.Decryption{State: flow.DecryptedPartial, Source: flow.FromKeys, Reason: flow.LateKey}) {
			t.Errorf("got %+v", d)
		}
		if !bytes.HasSuffix(rec.said[flow.ToClient], h.plain[flow.ToClient]) || len(h.plain[flow.ToClient]) == 0 {
			t.Errorf("heard %d bytes", len(h.plain[flow.ToClient]))
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	rec := tls13(t, turn{flow.ToClient, text(300_000)}, turn{flow.ToServer, []byte("x")})
	w := decrypt.NewWorker(decrypt.Config{Keys: keylog.NewStore(10), Certificates: handshake.NewCertificates(1), MaxWaiting: 50_000})
	s := w.NewSession(&heard{})
	most := int64(0)
	for _, c := range rec.chunks {
		s.Data(c.dir, c.at, c.b)
		most = max(most, w.Held())
	}
	s.Close(time.Time{})
	if _, d := s.Facts(); d.Reason != flow.NoKey {
		t.Errorf("got %+v", d)
	}
	if most == 0 || most > 50_000 || w.Held() != 0 {
		t.Errorf("%d bytes were held, and %d are in the end", most, w.Held())
	}
}

// TestGivingUpMakesRoom gives up one of two sessions that wait: the other still opens when its key comes.
func TestGivingUpMakesRoom(t *testing.T) {
	rec := tls13(t, dialogue...)
	keys := keylog.NewStore(10)
	w := newWorker(keys)
	h := &heard{}
	s, other := w.NewSession(h), w.NewSession(&heard{})
	for _, c := range rec.chunks {
		s.Data(c.dir, c.at, c.b)
		other.Data(c.dir, c.at, c.b)
	}
	both := w.Held()
	other.GiveUp(flow.OverMemory)
	if one := w.Held(); one != both/2 {
		t.Errorf("%d bytes were held, %d after one of two gave up", both, one)
	}
	if _, d := other.Facts(); d != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.OverMemory}) {
		t.Errorf("got %+v", d)
	}
	keys.Add(rec.keys.Bytes())
	s.Retry()
	mustHear(t, rec, s, h)
}

func TestNotTLS(t *testing.T) {
	for name, c := range map[string]struct {
		chunks []chunk
		want   flow.Decryption
	}{
		"garbage":        {[]chunk{{flow.ToServer, time.Time{}, []byte("GET / HTTP/1.1\r\n")}}, flow.Decryption{State: "no", Reason: flow.Malformed}},
		"midstream":      {[]chunk{{flow.ToServer, time.Time{}, append([]byte{23, 3, 3, 0, 100}, text(100)...)}}, flow.Decryption{State: "no", Reason: flow.Midstream}},
		"midstream, cut": {[]chunk{{flow.ToServer, time.Time{}, []byte{23, 3, 3, 9, 0, 1, 2}}}, flow.Decryption{State: "no", Reason: flow.Midstream}},
		"hello, cut":     {[]chunk{{flow.ToServer, time.Time{}, []byte{22, 3, 1, 2, 0, 1}}}, flow.Decryption{State: "no", Reason: flow.NoApplicationData}},
		"nothing at all": {nil, flow.Decryption{State: "no", Reason: flow.NoApplicationData}},
		"broken hello":   {[]chunk{{flow.ToServer, time.Time{}, []byte{22, 3, 1, 0, 6, 1, 0, 0, 2, 9, 9}}}, flow.Decryption{State: "no", Reason: flow.Malformed}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := replay(keylog.NewStore(1), c.chunks)
			if _, d := s.Facts(); d != c.want {
				t.Errorf("got %+v, want %+v", d, c.want)
			}
		})
	}
}

func TestNoApplicationData(t *testing.T) {
	rec := tls12(t, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)
	s, h := replay(storeOf(rec.keys.Bytes()), rec.chunks)
	mustHear(t, rec, s, h)
	s, _ = replay(keylog.NewStore(1), rec.chunks)
	if _, d := s.Facts(); d != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.NoApplicationData}) {
		t.Errorf("without keys: got %+v", d)
	}
}

func TestResumption(t *testing.T) {
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2 ticket", tls.VersionTLS13: "TLS 1.3 PSK"} {
		t.Run(name, func(t *testing.T) {
			client := &tls.Config{MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			server := &tls.Config{}
			server.SetSessionTicketKeys([][32]byte{{1}})
			master := ""
			for i := range 2 {
				rec := talk(t, client, server, dialogue...)
				if version == tls.VersionTLS12 && i == 0 {
					master = strings.Fields(rec.keys.String())[2]
				} else if version == tls.VersionTLS12 { // Go logs no line for it; other libraries do
					fmt.Fprintf(rec, "CLIENT_RANDOM %x %s\n", rec.chunks[0].b[11:43], master)
				}
				s, h := replay(storeOf(rec.keys.Bytes()), rec.chunks)
				mustHear(t, rec, s, h)
				if facts, _ := s.Facts(); facts.Resumed != (i == 1) || (facts.Certificate == nil) != (i == 1) {
					t.Errorf("connection %d: got %+v", i, facts)
				}
			}
		})
	}
}

func TestHelloRetryRequest(t *testing.T) {
	rec := talk(t, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP384}}, &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}}, dialogue...)
	s, h := replay(storeOf(rec.keys.Bytes()), rec.chunks)
	mustHear(t, rec, s, h)
}

func TestUnsupportedSuite(t *testing.T) {
	rec := tls12(t, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, dialogue...)
	s, _ := replay(storeOf(rec.keys.Bytes()), rec.chunks)
	facts, d := s.Facts()
	if d != (flow.Decryption{State: flow.DecryptedNo, Reason: flow.UnsupportedSuite}) || facts.Certificate == nil || facts.Cipher == "" {
		t.Errorf("got %+v, %+v", d, facts)
	}
}

// TestHandshakeSecretsMissing has the application secrets alone, as some key taps do.
func TestHandshakeSecretsMissing(t *testing.T) {
	rec := tls13(t, dialogue...)
	s, h := replay(storeOf(withoutLabel(rec, "HANDSHAKE")), rec.chunks)
	mustHear(t, rec, s, h)
	s, h = replay(keylog.NewStore(1), rec.chunks)
	_ = h
	if _, d := s.Facts(); d.State != flow.DecryptedNo {
		t.Errorf("got %+v", d)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	rec := tls13(t, dialogue...)
	keys := storeOf(rec.keys.Bytes())
	var random [32]byte
	hex.Decode(random[:], []byte(randomOf(rec)))
	secrets := keys.Secrets(random)
	if len(secrets) < 4 {
		t.Fatalf("got %d secrets", len(secrets))
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		if got := fmt.Sprintf(format, secrets[0].Value); !strings.HasPrefix(got, "REDACTED(") {
			t.Errorf("%s prints key material", format)
		}
	}
}

// TestAfterCloseNotify goes on in the clear after the end of TLS, as some protocols do.
func TestAfterCloseNotify(t *testing.T) {
	rec := tls13(t, dialogue...)
	chunks := append(slices.Clone(rec.chunks), chunk{flow.ToServer, time.Time{}, []byte("QUIT\r\nno record")})
	s, h := replay(storeOf(rec.keys.Bytes()), chunks)
	mustHear(t, rec, s, h)
}

// TestRevision lets a caller learn of new facts without asking for them after every packet.
func TestRevision(t *testing.T) {
	rec := tls13(t, dialogue...)
	s := newWorker(storeOf(rec.keys.Bytes())).NewSession(&heard{})
	var known flow.TLS
	revision := s.Revision()
	for _, c := range rec.chunks {
		s.Data(c.dir, c.at, c.b)
		facts, _ := s.Facts()
		facts.PlaintextBytes, facts.LostBytes = 0, 0
		if diff := cmp.Diff(known, facts); diff != "" && s.Revision() == revision {
			t.Errorf("facts changed, the revision did not: %s", diff)
		}
		known, revision = facts, s.Revision()
	}
}
