package server

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/state"
)

type signInInput struct{ Body api.SignIn }

type sessionOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      api.Session
}

type sessionOnlyOutput struct{ Body api.Session }

type cookieOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

type passwordInput struct{ Body api.PasswordChange }

func (s *Server) registerSessions(a huma.API) {
	register(s, a, operation("sign-in", http.MethodPost, "/api/v1/session", "session", Public, "Sign in",
		"Checks the password and sets the session cookie.", http.StatusUnauthorized, http.StatusTooManyRequests), s.signIn)
	register(s, a, operation("get-session", http.MethodGet, "/api/v1/session", "session", SignedIn, "Who am I",
		"Returns the signed-in account."), s.getSession)
	register(s, a, operation("sign-out", http.MethodDelete, "/api/v1/session", "session", SignedIn, "Sign out",
		"Ends the session."), s.signOut)
	register(s, a, operation("change-password", http.MethodPut, "/api/v1/account/password", "session", SignedIn, "Change my password",
		"Replaces the password of the signed-in account and ends its other sessions.", http.StatusUnprocessableEntity, http.StatusTooManyRequests), s.changePassword)
}

// signIn checks a password. Guessing is slowed down, see throttle, and an account that does not exist is answered like a wrong
// password, after the same time.
func (s *Server) signIn(ctx context.Context, in *signInInput) (*sessionOutput, error) {
	name := strings.ToLower(strings.TrimSpace(in.Body.Username))
	u, err := s.checkPassword(ctx, name, in.Body.Password)
	if err != nil {
		return nil, err
	}
	secret, err := s.deps.State.NewSession(ctx, u.Name, time.Now())
	if err != nil {
		return nil, err
	}
	if err := s.audit(ctx, u.Name, "session.start", "", state.OK); err != nil {
		return nil, err
	}
	return &sessionOutput{SetCookie: sessionCookie(secret), Body: s.sessionOf(u.Name, u.Role)}, nil
}

// checkPassword returns the account, or an answer for the caller.
func (s *Server) checkPassword(ctx context.Context, name, password string) (state.User, error) {
	now, from := time.Now(), address(ctx)
	tries := s.signIns.bucketsFor(now, name, from)
	if wait := s.signIns.take(now, tries...); wait > 0 {
		seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
		return state.User{}, huma.ErrorWithHeaders(
			huma.Error429TooManyRequests("Too many wrong passwords came for this account or from this network. Try again in "+seconds+" seconds."),
			http.Header{"Retry-After": {seconds}})
	}
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return state.User{}, ctx.Err()
	}
	u, err := s.deps.State.CheckPassword(ctx, name, password)
	if errors.Is(err, state.ErrNotFound) {
		_ = s.audit(ctx, "", "session.start", name, state.Denied)
		return state.User{}, huma.Error401Unauthorized("The account name or the password is wrong.")
	}
	if err == nil {
		s.signIns.giveBack(tries...)
		s.signIns.remember(now, name, from)
	}
	return u, err
}

// rememberSignIns reads from where accounts signed in lately, so that a restart does not forget it.
func (s *Server) rememberSignIns(ctx context.Context) error {
	entries, err := s.deps.State.AuditEntries(ctx, "", throttleMax)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Action == "session.start" && e.Outcome == state.OK {
			s.signIns.remember(e.Time, e.Actor, e.Address)
		}
	}
	return nil
}

// sessionCookie returns the cookie that carries a session; an empty secret removes it.
func sessionCookie(secret string) http.Cookie {
	c := http.Cookie{Name: cookieName, Value: secret, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if secret == "" {
		c.MaxAge = -1
	}
	return c
}

func (s *Server) sessionOf(name string, role state.Role) api.Session {
	out := api.Session{User: api.User{Name: name, Role: string(role)}, Permissions: []string{}, Version: s.cfg.Version}
	for _, p := range permissionsOf(role) {
		out.Permissions = append(out.Permissions, string(p))
	}
	return out
}

func (s *Server) getSession(ctx context.Context, _ *nothing) (*sessionOnlyOutput, error) {
	p := caller(ctx)
	return &sessionOnlyOutput{s.sessionOf(p.name, p.role)}, nil
}

func (s *Server) signOut(ctx context.Context, _ *nothing) (*cookieOutput, error) {
	p := caller(ctx)
	if err := s.deps.State.EndSession(ctx, p.session); err != nil {
		return nil, err
	}
	_ = s.audit(ctx, p.name, "session.end", "", state.OK)
	return &cookieOutput{sessionCookie("")}, nil
}

func (s *Server) changePassword(ctx context.Context, in *passwordInput) (*nothing, error) {
	p := caller(ctx)
	if p.session == "" {
		return nil, huma.Error403Forbidden("A token has no password. Sign in to change yours.")
	}
	if _, err := s.checkPassword(ctx, p.name, in.Body.Old); err != nil {
		var e huma.StatusError
		if errors.As(err, &e) && e.GetStatus() == http.StatusUnauthorized { // 401 would say that the session is over
			return nil, huma.Error422UnprocessableEntity("The present password is wrong.", &huma.ErrorDetail{Message: "wrong password", Location: "body.old"})
		}
		return nil, err
	}
	if err := s.deps.State.SetPassword(ctx, p.name, in.Body.New, p.session); err != nil {
		return nil, err
	}
	return &nothing{}, s.audit(ctx, p.name, "account.password", p.name, state.OK)
}

const (
	throttleBurst   = 10               // failed sign-ins from one address, or to an account from one network, that are free
	throttleAccount = 100              // of one account from all networks that it is not known to sign in from
	throttleRefill  = 30 * time.Second // until one more is
	throttleMax     = 10_000           // buckets that are remembered, and places that accounts sign in from
	familiarFor     = 30 * 24 * time.Hour
)

// bucket is a number of free tries, which come back with time.
type bucket struct {
	key   string
	burst int
}

// throttle slows down guessing of passwords. Nobody can use it to lock an account out from where its owner signs in: an
// address that the account signed in from lately has only its own tries to lose, and a network of which that is true only
// those of the network. A name that is no account's is treated the same.
type throttle struct {
	mu       sync.Mutex
	spent    map[string]time.Time // when all tries of the key will be free again; missing means now
	familiar map[string]time.Time // until when an account and an address or network that it signed in from are remembered
}

func newThrottle() *throttle {
	return &throttle{spent: map[string]time.Time{}, familiar: map[string]time.Time{}}
}

// bucketsFor returns those that a try to sign in to an account uses up.
func (t *throttle) bucketsFor(now time.Time, account, address string) []bucket {
	host, network := networksOf(address)
	buckets := []bucket{{"address " + host, throttleBurst}}
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.familiar[account+" "+host]) {
		return buckets
	}
	buckets = append(buckets, bucket{"account " + account + " from " + network, throttleBurst})
	if now.Before(t.familiar[account+" "+network]) {
		return buckets
	}
	return append(buckets, bucket{"account " + account, throttleAccount})
}

// remember notes from where an account signed in.
func (t *throttle) remember(at time.Time, account, address string) {
	host, network := networksOf(address)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, place := range []string{host, network} {
		key := account + " " + place
		if _, ok := t.familiar[key]; !ok {
			makeRoom(t.familiar, at)
		}
		if until := at.Add(familiarFor); until.After(t.familiar[key]) {
			t.familiar[key] = until
		}
	}
}

// take uses up one try of every bucket, or says how long to wait if one of them has none: then nothing is used up.
func (t *throttle) take(now time.Time, buckets ...bucket) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range buckets {
		wait = max(wait, t.spent[b.key].Add(-time.Duration(b.burst-1)*throttleRefill).Sub(now))
	}
	if wait > 0 {
		return wait
	}
	for _, b := range buckets {
		makeRoom(t.spent, now)
		from := t.spent[b.key]
		if from.Before(now) {
			from = now
		}
		t.spent[b.key] = from.Add(throttleRefill)
	}
	return 0
}

// giveBack undoes take after a success.
func (t *throttle) giveBack(buckets ...bucket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range buckets {
		if at, ok := t.spent[b.key]; ok {
			t.spent[b.key] = at.Add(-throttleRefill)
		}
	}
}

// makeRoom forgets what has run out, and if that is not enough, what will run out first.
func makeRoom(until map[string]time.Time, now time.Time) {
	if len(until) < throttleMax {
		return
	}
	first, at := "", time.Unix(math.MaxInt32, 0)
	for k, v := range until {
		if v.Before(now) {
			delete(until, k)
		} else if v.Before(at) {
			first, at = k, v
		}
	}
	if len(until) >= throttleMax {
		delete(until, first)
	}
}

// networksOf returns what counts as one address, since whoever has one of IPv6 has 2^64 of them, and what counts as one
// network.
func networksOf(address string) (host, network string) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address, address
	}
	a = a.Unmap().WithZone("")
	hostBits, networkBits := 64, 64
	if a.Is4() {
		hostBits, networkBits = 32, 24
	}
	return netip.PrefixFrom(a, hostBits).Masked().String(), netip.PrefixFrom(a, networkBits).Masked().String()
}
