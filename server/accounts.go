package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/state"
)

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
	register(s, a, operation("list-users", http.MethodGet, "/api/v1/users", "system", CanAdminister, "List accounts",
		"Returns all accounts."), s.listUsers)
	register(s, a, operation("create-user", http.MethodPost, "/api/v1/users", "system", CanAdminister, "Make an account",
		"Makes an account with a first password.", http.StatusConflict), s.createUser)
	register(s, a, operation("delete-user", http.MethodDelete, "/api/v1/users/{name}", "system", CanAdminister, "Delete an account",
		"Deletes an account with its tokens and ends its sessions. The last administrator stays.", http.StatusNotFound, http.StatusConflict), s.deleteUser)
	register(s, a, operation("list-audit", http.MethodGet, "/api/v1/audit", "system", CanAdminister, "Read the audit trail",
		"Returns who signed in, looked at content, downloaded and imported, the newest first."), s.listAudit)
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
	entries, err := s.deps.State.AuditEntries(ctx, "", in.Limit)
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

type newTokenInput struct{ Body api.NewToken }

type issuedTokenOutput struct{ Body api.IssuedToken }

type tokensOutput struct{ Body api.Tokens }

type tokenIDInput struct {
	ID string `path:"id" maxLength:"64" doc:"Token id"`
}

func (s *Server) registerTokens(a huma.API) {
	register(s, a, operation("create-token", http.MethodPost, "/api/v1/tokens", "tokens", SignedIn, "Make an API token",
		"Makes a token and shows its secret this once. It can do no more than its maker. It ends with the maker's account; made with another token, "+
			"it ends with that one too.", http.StatusConflict), s.createToken)
	register(s, a, operation("list-tokens", http.MethodGet, "/api/v1/tokens", "tokens", SignedIn, "List API tokens",
		"Returns the tokens of the signed-in account; those of everybody to an administrator; to another token, itself and those made with it."), s.listTokens)
	register(s, a, operation("revoke-token", http.MethodDelete, "/api/v1/tokens/{id}", "tokens", SignedIn, "Revoke an API token",
		"Ends a token at once, and the tokens that were made with it. The list says which can be revoked.", http.StatusNotFound), s.revokeToken)
}

// createToken hands on what the caller may do, or less: neither more rights nor, if the caller is a token, more time.
func (s *Server) createToken(ctx context.Context, in *newTokenInput) (*issuedTokenOutput, error) {
	p, now := caller(ctx), time.Now()
	t := state.Token{Name: in.Body.Name, Role: state.Role(in.Body.Role), Owner: p.name, Created: now}
	if p.token != "" {
		t.Owner, t.Parent = p.issued.Owner, p.issued.ID
	}
	if in.Body.Expires != nil {
		t.Expires = in.Body.Expires.UTC().Truncate(time.Second)
		if !t.Expires.After(now) {
			return nil, huma.Error422UnprocessableEntity("The token would have expired already.", &huma.ErrorDetail{Message: "must be in the future", Location: "body.expires"})
		}
	}
	if !p.mayGive(t.Role) {
		_ = s.audit(ctx, p.name, "token.create", t.Name, state.Denied)
		return nil, huma.Error403Forbidden("The role " + string(p.role) + " can't make a token with the role " + string(t.Role) +
			": a token may do at most what its maker may. Choose another role, or ask an administrator for the token.")
	}
	if end := p.issued.Expires; !end.IsZero() && (t.Expires.IsZero() || t.Expires.After(end)) {
		_ = s.audit(ctx, p.name, "token.create", t.Name, state.Denied)
		return nil, huma.Error403Forbidden("This token expires at " + end.Format(time.RFC3339) + ": one that is made with it must not last longer. Choose an earlier end.")
	}
	secret, t, err := s.deps.State.NewToken(ctx, t)
	if errors.Is(err, state.ErrExists) {
		return nil, huma.Error409Conflict("There is a token of this name already. Choose another name, or revoke that one.")
	}
	if errors.Is(err, state.ErrTooMany) {
		return nil, huma.Error409Conflict("There are " + strconv.Itoa(state.MaxTokens) + " tokens of this owner, and no more are allowed. Revoke some that are not used.")
	}
	if err != nil {
		return nil, err
	}
	return &issuedTokenOutput{api.IssuedToken{Token: tokenOf(t), Secret: secret}}, s.audit(ctx, p.name, "token.create", t.Name, state.OK)
}

// tokensOf is what a principal sees and revokes.
func tokensOf(p principal) state.TokenScope {
	if p.token != "" {
		return state.TokenScope{All: p.may(CanAdminister), Token: p.issued.ID}
	}
	return state.TokenScope{All: p.may(CanAdminister), Owner: p.name}
}

func (s *Server) listTokens(ctx context.Context, _ *nothing) (*tokensOutput, error) {
	tokens, err := s.deps.State.Tokens(ctx, tokensOf(caller(ctx)))
	if err != nil {
		return nil, err
	}
	out := &tokensOutput{api.Tokens{Tokens: []api.Token{}}}
	for _, t := range tokens {
		out.Body.Tokens = append(out.Body.Tokens, tokenOf(t))
	}
	return out, nil
}

func (s *Server) revokeToken(ctx context.Context, in *tokenIDInput) (*nothing, error) {
	p := caller(ctx)
	err := s.deps.State.RevokeToken(ctx, tokensOf(p), in.ID)
	if errors.Is(err, state.ErrNotFound) {
		_ = s.audit(ctx, p.name, "token.revoke", in.ID, state.FailedToDo)
		return nil, huma.Error404NotFound("There is no token with this id, or it belongs to somebody else.")
	}
	if err != nil {
		return nil, err
	}
	return &nothing{}, s.audit(ctx, p.name, "token.revoke", in.ID, state.OK)
}

func tokenOf(t state.Token) api.Token {
	out := api.Token{ID: t.ID, Name: t.Name, Role: string(t.Role), Owner: t.Owner, Created: t.Created}
	if !t.Expires.IsZero() {
		out.Expires = &t.Expires
	}
	if !t.LastUsed.IsZero() {
		out.LastUsed = &t.LastUsed
	}
	return out
}
