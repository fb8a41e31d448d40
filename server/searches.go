package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/state"
)

// continueFor is how long further pages of a search need no audit record of their own.
const continueFor = time.Hour

// maxWaiting is how many questions of one account may wait for their turn.
const maxWaiting = 100

// searches knows who asks the event store, and what was searched for lately.
type searches struct {
	atATime int

	mu      sync.Mutex
	audited map[string]time.Time // until when somebody may go on with a search: hash of both
	askers  map[string]*asker    // by account
}

// asker is an account that asks the event store something.
type asker struct {
	running chan struct{} // a place in it is a turn
	here    int           // questions that run or wait; guarded by searches.mu
}

func newSearches(atATime int) *searches {
	return &searches{atATime: atATime, audited: map[string]time.Time{}, askers: map[string]*asker{}}
}

// inTurn gives a handler that asks the event store a deadline, and holds it back while its caller asks much already: nobody
// must keep the store from others.
func inTurn[I, O any](s *Server, h func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.SearchTime)
		defer cancel()
		p := caller(ctx)
		done, ok := s.searches.turn(ctx, cmp.Or(p.issued.Owner, p.name))
		if !ok {
			return nil, huma.Error429TooManyRequests("Your other searches keep the event store busy, so that this one was not begun in time. Wait until they end, or close the pages that they are for.")
		}
		defer done()
		return h(ctx, in)
	}
}

// turn waits until the account may ask the event store. It reports false if ctx ends before, or if too many wait already.
func (x *searches) turn(ctx context.Context, account string) (done func(), ok bool) {
	a, ok := x.join(account)
	if !ok {
		return nil, false
	}
	select {
	case a.running <- struct{}{}:
		return func() { <-a.running; x.leave(account, a) }, true
	case <-ctx.Done():
		x.leave(account, a)
		return nil, false
	}
}

func (x *searches) join(account string) (*asker, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	a := x.askers[account]
	if a == nil {
		a = &asker{running: make(chan struct{}, x.atATime)}
		x.askers[account] = a
	}
	if a.here >= x.atATime+maxWaiting {
		return nil, false
	}
	a.here++
	return a, true
}

func (x *searches) leave(account string, a *asker) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if a.here--; a.here == 0 {
		delete(x.askers, account)
	}
}

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
