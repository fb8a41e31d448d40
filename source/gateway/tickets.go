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
	// maxVain is how many sessions in a row an origin may refuse before none is offered to it for vainTime: many give out tickets that
	// they never take, and an offer costs both sides more than it saves.
	maxVain  = 3
	vainTime = time.Hour
)

// sessionCache keeps TLS sessions with origins, but not those of origins with endless chains, since crypto/tls counts sessions, not bytes; and
// not those of origins that refuse them.
type sessionCache struct {
	tls.ClientSessionCache

	mu   sync.Mutex
	vain map[string]vain // by key
}

// vain is what an origin has refused in a row.
type vain struct {
	count int
	last  time.Time
}

func newSessionCache() *sessionCache {
	return &sessionCache{ClientSessionCache: tls.NewLRUClientSessionCache(sessions), vain: map[string]vain{}}
}

// Get returns a session that may be resumed.
func (c *sessionCache) Get(key string) (*tls.ClientSessionState, bool) {
	if c.refused(key, time.Now()) {
		return nil, false
	}
	return c.ClientSessionCache.Get(key)
}

// Put keeps a session unless it is too long, or its like were refused; nil forgets the one that was there.
func (c *sessionCache) Put(key string, s *tls.ClientSessionState) {
	if s == nil || !c.refused(key, time.Now()) && sessionSize(s) <= maxSession {
		c.ClientSessionCache.Put(key, s)
	}
}

// offered notes what came of a session that Get has returned.
func (c *sessionCache) offered(key string, resumed bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if resumed {
		delete(c.vain, key)
		return
	}
	if len(c.vain) >= sessions {
		clear(c.vain)
	}
	c.vain[key] = vain{c.vain[key].count + 1, now}
}

func (c *sessionCache) refused(key string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.vain[key]
	return v.count >= maxVain && now.Sub(v.last) < vainTime
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
