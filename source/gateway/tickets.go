package gateway

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// tickets are the keys of the session tickets that clients get. They change every day, and never leave memory.
type tickets struct {
	mu   sync.Mutex
	keys [][32]byte // the newest first
	made time.Time  // that of the newest
}

const ticketTime = 24 * time.Hour

// current returns the keys, the first of which is for new tickets. The slice is not to be changed.
func (t *tickets) current(now time.Time) [][32]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.made) > ticketTime {
		keys := make([][32]byte, 1, 2)
		rand.Read(keys[0][:]) // never fails
		t.keys, t.made = append(keys, t.keys[:min(1, len(t.keys))]...), now
	}
	return t.keys
}

// bind lets a client resume a session only while its origin shows the same certificate with the same fault: each connection's origin
// is judged before its client is answered, and a ticket must not outlive that judgement.
func (t *tickets) bind(cfg *tls.Config, origin []byte, fault flow.Fault, now time.Time) {
	cfg.SetSessionTicketKeys(t.current(now))
	h := sha256.New()
	h.Write([]byte("vitrine gateway " + fault + "\n"))
	h.Write(origin)
	bond := h.Sum(nil)
	cfg.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
		s.Extra = append(s.Extra, bond)
		return cfg.EncryptTicket(cs, s)
	}
	cfg.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		s, err := cfg.DecryptTicket(ticket, cs)
		if err != nil || s == nil || !slices.ContainsFunc(s.Extra, func(b []byte) bool { return bytes.Equal(b, bond) }) {
			return nil, nil // a full handshake
		}
		return s, nil
	}
}

const (
	// sessions is how many TLS sessions with origins are kept, to resume them.
	sessions = 2048
	// maxSession is the size in bytes of the longest that is kept, nearly all of which is the origin's chain. Usual ones take 5 KiB.
	maxSession = 16 << 10
)

// sessionCache keeps TLS sessions with origins, but not those of origins with endless chains: crypto/tls counts sessions, not bytes.
type sessionCache struct{ tls.ClientSessionCache }

func newSessionCache() sessionCache { return sessionCache{tls.NewLRUClientSessionCache(sessions)} }

// Put keeps a session unless it is too long; nil forgets the one that was there.
func (c sessionCache) Put(key string, s *tls.ClientSessionState) {
	if s == nil || sessionSize(s) <= maxSession {
		c.ClientSessionCache.Put(key, s)
	}
}

// sessionSize is that of a session in bytes. One that cannot be written down counts as too long.
func sessionSize(s *tls.ClientSessionState) int {
	ticket, state, err := s.ResumptionState()
	if err != nil || state == nil {
		return maxSession + 1
	}
	b, err := state.Bytes()
	if err != nil {
		return maxSession + 1
	}
	return len(ticket) + len(b)
}
