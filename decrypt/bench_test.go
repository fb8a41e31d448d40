package decrypt_test

import (
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt"
	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/flow"
)

// sink counts what it hears and keeps nothing.
type sink struct{ bytes int64 }

func (s *sink) Plain(_ flow.Direction, _ time.Time, b []byte) { s.bytes += int64(len(b)) }
func (s *sink) Lost(flow.Direction, time.Time, int)           {}

// kinds are the ciphers whose speed matters. Go's client does not let a test choose the suite of TLS 1.3.
func kinds(t testing.TB, turns ...turn) map[string]*recording {
	t.Helper()
	return map[string]*recording{
		"TLS 1.3 AES-128-GCM": tls13(t, turns...),
		"TLS 1.2 AES-256-GCM": tls12(t, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, turns...),
		"TLS 1.2 ChaCha20":    tls12(t, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, turns...),
	}
}

// TestNoAllocationPerRecord opens records that lie whole in a chunk, and records that come in packets of 1.4 kB.
func TestNoAllocationPerRecord(t *testing.T) {
	for name, rec := range kinds(t, turn{flow.ToServer, []byte("go")}, turn{flow.ToClient, text(4 << 20)}) {
		for how, size := range map[string]int{"whole": 1 << 20, "packets": 1400} {
			t.Run(name+"/"+how, func(t *testing.T) {
				chunks := rechunkEvenly(records(t, rec.chunks), size)
				w := newWorker(storeOf(rec.keys.Bytes()))
				out := &sink{}
				s := w.NewSession(out)
				warm := len(chunks) / 4
				for _, c := range chunks[:warm] {
					s.Data(c.dir, c.at, c.b)
				}
				rest := chunks[warm : len(chunks)-10] // the end holds alerts and such
				next := 0
				allocs := testing.AllocsPerRun(len(rest)-2, func() {
					s.Data(rest[next].dir, rest[next].at, rest[next].b)
					next++
				})
				if allocs != 0 || out.bytes < 1<<20 {
					t.Errorf("%v allocations per chunk, %d bytes heard", allocs, out.bytes)
				}
			})
		}
	}
}

// rechunkEvenly cuts each chunk into pieces of at most size bytes.
func rechunkEvenly(chunks []chunk, size int) []chunk {
	var out []chunk
	for _, c := range chunks {
		for b := c.b; len(b) > 0; b = b[min(size, len(b)):] {
			out = append(out, chunk{c.dir, c.at, b[:min(size, len(b))]})
		}
	}
	return out
}

// BenchmarkBulk opens records of 16 KiB that come in packets.
func BenchmarkBulk(b *testing.B) {
	for name, rec := range kinds(b, turn{flow.ToServer, []byte("go")}, turn{flow.ToClient, text(16 << 20)}) {
		for how, size := range map[string]int{"whole": 1 << 20, "packets": 1400} {
			b.Run(name+"/"+how, func(b *testing.B) {
				chunks := rechunkEvenly(records(b, rec.chunks), size)
				w := newWorker(storeOf(rec.keys.Bytes()))
				b.SetBytes(16 << 20)
				b.ReportAllocs()
				for b.Loop() {
					play(w, chunks)
				}
			})
		}
	}
}

func play(w *decrypt.Worker, chunks []chunk) {
	s := w.NewSession(&sink{})
	for _, c := range chunks {
		s.Data(c.dir, c.at, c.b)
	}
	s.Close(time.Time{})
}

// BenchmarkShortConnection is a whole connection with one small request and response.
func BenchmarkShortConnection(b *testing.B) {
	for name, rec := range kinds(b, turn{flow.ToServer, text(200)}, turn{flow.ToClient, text(1000)}) {
		b.Run(name, func(b *testing.B) {
			store := storeOf(rec.keys.Bytes())
			w := decrypt.NewWorker(decrypt.Config{Keys: store, Certificates: handshake.NewCertificates(1000), MaxWaiting: 1 << 20})
			b.ReportAllocs()
			for b.Loop() {
				play(w, rec.chunks)
			}
		})
	}
}

// BenchmarkWaiting asks for keys that do not come, as a sensor does for every waiting connection whenever some key has come.
func BenchmarkWaiting(b *testing.B) {
	rec := tls13(b, turn{flow.ToServer, text(200)}, turn{flow.ToClient, text(100_000)})
	store := keylog.NewStore(1 << 20)
	s := newWorker(store).NewSession(&sink{})
	for _, c := range rec.chunks {
		s.Data(c.dir, c.at, c.b)
	}
	n := 0
	for b.Loop() {
		n++
		store.Add(fmt.Appendf(nil, "CLIENT_RANDOM %064x 01", n))
		s.Retry()
	}
}
