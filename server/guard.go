package server

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
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
	err := s.deps.State.Audit(context.WithoutCancel(ctx), state.AuditEntry{
		Time: time.Now(), Actor: actor, Address: address(ctx), Action: action, Target: target, Outcome: outcome,
	})
	if err != nil {
		s.log.Error("audit entry lost", "action", action, "err", err)
	}
	return err
}

// statusOf returns the status of an answer that was given.
func statusOf(ctx huma.Context) int { return cmp.Or(ctx.Status(), http.StatusOK) }

// raw returns the request and the response of a huma context.
func raw(ctx huma.Context) (*http.Request, http.ResponseWriter) { return humago.Unwrap(ctx) }
