package server

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/state"
)

// continueFor is how long further pages of a search need no audit record of their own.
const continueFor = time.Hour

// searches knows what was searched for lately.
type searches struct {
	mu      sync.Mutex
	audited map[string]time.Time // until when somebody may go on with a search: hash of both
}

func newSearches() *searches { return &searches{audited: map[string]time.Time{}} }

// auditSearch records that somebody who may read content searches. A further page is not recorded again, but a cursor alone
// proves nothing: anybody can make one.
func (s *Server) auditSearch(ctx context.Context, p principal, q string, further bool) error {
	if !p.may(CanContent) {
		return nil
	}
	sum := sha256.Sum256([]byte(p.name + "\x00" + q))
	key, now := string(sum[:]), time.Now()
	if further && s.searches.isAudited(key, now) {
		return nil
	}
	if err := s.audit(ctx, p.name, "content.search", q, state.OK); err != nil {
		return err
	}
	s.searches.note(key, now)
	return nil
}

func (x *searches) isAudited(key string, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return now.Before(x.audited[key])
}

func (x *searches) note(key string, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.audited[key]; !ok {
		makeRoom(x.audited, now)
	}
	x.audited[key] = now.Add(continueFor)
}
