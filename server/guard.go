package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/vitrine-ndr/vitrine/state"
)

// cookieName carries the session. The prefix makes browsers insist on Secure, Path=/ and no Domain.
const cookieName = "__Host-vitrine"

const (
	readTimeout  = 30 * time.Second // for the body of a request, unless a route allows more
	writeTimeout = time.Minute      // for an answer, unless it is a stream
)

// apiPolicy is for answers that are no pages: nothing in them is ever run, framed or loaded.
const apiPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// guard is what every request passes first: deadlines, headers, and the check that a request which changes something does not
// come from another site. There is no Strict-Transport-Security: with a self-signed certificate it would lock people out.
func (s *Server) guard(next http.Handler) http.Handler {
	sameSite := http.NewCrossOriginProtection()
	sameSite.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, http.StatusForbidden, "The request comes from another site. Use the console, or send an API token without a browser.")
	}))
	next = sameSite.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.SetReadDeadline(time.Now().Add(readTimeout)) // a recorder in a test has no deadlines
		_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", apiPolicy)
		defer s.recovered(w, r)
		next.ServeHTTP(w, r)
	})
}

// recovered turns a panic into an answer and a line in the log.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		s.log.Error("request panicked", "method", r.Method, "pattern", r.Pattern, "panic", p, "stack", string(debug.Stack()))
		writeProblem(w, http.StatusInternalServerError, internalDetail)
	}
}

type principalKey struct{}

// caller returns who makes the request. It is valid iff the route is not Public.
func caller(ctx context.Context) principal {
	p, _ := ctx.Value(principalKey{}).(principal)
	return p
}

type addressKey struct{}

// address returns the network address that a request comes from.
func address(ctx context.Context) string {
	a, _ := ctx.Value(addressKey{}).(string)
	return a
}

// authorize lets a request through to a route if its caller has the permission that the route's description asks for. A
// route that asks for nothing is refused: Public must be said.
func (s *Server) authorize(a huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		host, _, err := net.SplitHostPort(ctx.RemoteAddr())
		if err != nil {
			host = ctx.RemoteAddr()
		}
		ctx = huma.WithValue(ctx, addressKey{}, host)
		op := ctx.Operation()
		defer func() { s.requests.WithLabelValues(op.OperationID, strconv.Itoa(statusOf(ctx))).Inc() }()
		need, ok := neededBy(op)
		if !ok {
			_ = huma.WriteErr(a, ctx, http.StatusForbidden, "Nobody may use this route.")
			return
		}
		if need == Public {
			next(ctx)
			return
		}
		p, err := s.authenticate(ctx)
		switch {
		case errors.Is(err, state.ErrNotFound):
			ctx.SetHeader("WWW-Authenticate", "Bearer")
			_ = huma.WriteErr(a, ctx, http.StatusUnauthorized, "Nobody is signed in, or the session or token is no longer valid. Sign in, or send a valid token.")
		case err != nil:
			s.log.Error("authentication failed", "err", err)
			_ = huma.WriteErr(a, ctx, http.StatusInternalServerError, internalDetail)
		case !p.may(need):
			s.audit(ctx.Context(), p.name, op.OperationID, ctx.URL().Path, state.Denied)
			_ = huma.WriteErr(a, ctx, http.StatusForbidden, "The role "+string(p.role)+" lacks the permission "+string(need)+". Ask an administrator for another role.")
		default:
			next(huma.WithValue(ctx, principalKey{}, p))
		}
	}
}

// neededBy returns the permission in a route's security requirements.
func neededBy(op *huma.Operation) (need Permission, ok bool) {
	if len(op.Security) == 0 {
		return "", false
	}
	for i, alternative := range op.Security {
		var here Permission
		for _, scopes := range alternative {
			if len(scopes) != 1 {
				return "", false
			}
			here = Permission(scopes[0])
		}
		if i > 0 && here != need {
			return "", false
		}
		need = here
	}
	return need, true
}

// authenticate finds out who makes a request: a token comes before a cookie. It returns state.ErrNotFound for nobody.
func (s *Server) authenticate(ctx huma.Context) (principal, error) {
	if scheme, token, ok := strings.Cut(ctx.Header("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return s.identify(ctx.Context(), token, "")
	}
	cookie, err := huma.ReadCookie(ctx, cookieName)
	if err != nil {
		return principal{}, state.ErrNotFound
	}
	return s.identify(ctx.Context(), "", cookie.Value)
}

// identify returns who has the token or, if it is empty, the session.
func (s *Server) identify(ctx context.Context, token, session string) (principal, error) {
	if token != "" {
		t, err := s.deps.State.TokenOf(ctx, token, time.Now())
		return principal{name: "token:" + t.Name, role: t.Role, token: token, issued: t}, err
	}
	u, err := s.deps.State.SessionUser(ctx, session, time.Now())
	return principal{name: u.Name, role: u.Role, session: session}, err
}

// audit writes an entry to the audit trail. Who may not be recorded may not act: callers that give something out check the error.
func (s *Server) audit(ctx context.Context, actor, action, target string, outcome state.Outcome) error {
	return s.auditEntry(ctx, state.AuditEntry{Actor: actor, Action: action, Target: target, Outcome: outcome})
}

// auditEntry fills in when and from where.
func (s *Server) auditEntry(ctx context.Context, e state.AuditEntry) error {
	e.Time, e.Address = time.Now(), address(ctx)
	err := s.deps.State.Audit(context.WithoutCancel(ctx), e)
	if err != nil {
		s.log.Error("audit entry lost", "action", e.Action, "err", err)
	}
	return err
}

// statusOf returns the status of an answer that was given.
func statusOf(ctx huma.Context) int { return cmp.Or(ctx.Status(), http.StatusOK) }

// raw returns the request and the response of a huma context.
func raw(ctx huma.Context) (*http.Request, http.ResponseWriter) { return humago.Unwrap(ctx) }

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
