package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
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
		"Deletes an account and ends its sessions. The last administrator stays.", http.StatusNotFound, http.StatusConflict), s.deleteUser)
	register(s, a, operation("list-audit", http.MethodGet, "/api/v1/audit", "system", CanAdminister, "Read the audit trail",
		"Returns who signed in, looked at content, downloaded and imported, the newest first."), s.listAudit)
}

func (s *Server) signIn(ctx context.Context, in *signInInput) (*sessionOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) getSession(ctx context.Context, in *nothing) (*sessionOnlyOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) signOut(ctx context.Context, in *nothing) (*cookieOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) changePassword(ctx context.Context, in *passwordInput) (*nothing, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) listUsers(ctx context.Context, in *nothing) (*usersOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) createUser(ctx context.Context, in *newUserInput) (*userOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) deleteUser(ctx context.Context, in *userNameInput) (*nothing, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) listAudit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
