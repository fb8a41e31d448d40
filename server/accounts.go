package server

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
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

type usersOutput struct{ Body api.Users }

type newUserInput struct{ Body api.NewUser }

type userOutput struct{ Body api.User }

type userNameInput struct {
	Name string `path:"name" maxLength:"128" doc:"Account name"`
}

type auditInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Entries at the most"`
}

type auditOutput struct{ Body api.Audit }

type nothing struct{}

func (s *Server) registerAccounts(a huma.API) {
	register(s, a, operation("sign-in", http.MethodPost, "/api/v1/session", "session", Public, "Sign in",
		"Checks the password and sets the session cookie.", http.StatusUnauthorized, http.StatusTooManyRequests), s.signIn)
	register(s, a, operation("get-session", http.MethodGet, "/api/v1/session", "session", SignedIn, "Who am I",
		"Returns the signed-in account."), s.getSession)
	register(s, a, operation("sign-out", http.MethodDelete, "/api/v1/session", "session", SignedIn, "Sign out",
		"Ends the session."), s.signOut)
	register(s, a, operation("change-password", http.MethodPut, "/api/v1/account/password", "session", SignedIn, "Change my password",
		"Replaces the password of the signed-in account and ends its other sessions.", http.StatusUnprocessableEntity, http.StatusTooManyRequests), s.changePassword)
	register(s, a, operation("list-users", http.MethodGet, "/api/v1/users", "system", CanAdminister, "List accounts",
		"Returns all accounts."), s.listUsers)
	register(s, a, operation("create-user", http.MethodPost, "/api/v1/users", "system", CanAdminister, "Make an account",
		"Makes an account with a first password.", http.StatusConflict), s.createUser)
	register(s, a, operation("delete-user", http.MethodDelete, "/api/v1/users/{name}", "system", CanAdminister, "Delete an account",
		"Deletes an account with its tokens and ends its sessions. The last administrator stays.", http.StatusNotFound, http.StatusConflict), s.deleteUser)
	register(s, a, operation("list-audit", http.MethodGet, "/api/v1/audit", "system", CanAdminister, "Read the audit trail",
		"Returns who signed in, looked at content, downloaded and imported, the newest first."), s.listAudit)
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
	entries, err := s.deps.State.AuditEntries(ctx, throttleMax)
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

func (s *Server) listUsers(ctx context.Context, _ *nothing) (*usersOutput, error) {
	users, err := s.deps.State.Users(ctx)
	if err != nil {
		return nil, err
	}
	out := &usersOutput{api.Users{Users: []api.User{}}}
	for _, u := range users {
		out.Body.Users = append(out.Body.Users, api.User{Name: u.Name, Role: string(u.Role)})
	}
	return out, nil
}

func (s *Server) createUser(ctx context.Context, in *newUserInput) (*userOutput, error) {
	u := state.User{Name: strings.ToLower(in.Body.Name), Role: state.Role(in.Body.Role), Created: time.Now()}
	err := s.deps.State.CreateUser(ctx, u, in.Body.Password)
	if errors.Is(err, state.ErrExists) {
		return nil, huma.Error409Conflict("There is an account of this name already. Choose another name.")
	}
	if err != nil {
		return nil, err
	}
	return &userOutput{api.User{Name: u.Name, Role: in.Body.Role}}, s.audit(ctx, caller(ctx).name, "account.create", u.Name, state.OK)
}

func (s *Server) deleteUser(ctx context.Context, in *userNameInput) (*nothing, error) {
	err := s.deps.State.DeleteUser(ctx, in.Name)
	if errors.Is(err, state.ErrLastAdmin) {
		return nil, huma.Error409Conflict("This is the last administrator: without it nobody could manage accounts. Make another one first.")
	}
	if err != nil {
		return nil, err
	}
	return &nothing{}, s.audit(ctx, caller(ctx).name, "account.delete", in.Name, state.OK)
}

func (s *Server) listAudit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	entries, err := s.deps.State.AuditEntries(ctx, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &auditOutput{api.Audit{Entries: []api.AuditEntry{}}}
	for _, e := range entries {
		out.Body.Entries = append(out.Body.Entries, api.AuditEntry{
			Time: e.Time, Actor: e.Actor, Address: e.Address, Action: e.Action, Target: e.Target, Outcome: string(e.Outcome),
		})
	}
	return out, nil
}
