package server

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/state"
)

// issue makes a token and returns a client that uses it.
func (c *client) issue(t api.NewToken) (*client, api.IssuedToken) {
	c.t.Helper()
	a := c.do(http.MethodPost, "/api/v1/tokens", t)
	var issued api.IssuedToken
	if a.status != 200 || json.Unmarshal([]byte(a.body), &issued) != nil {
		c.t.Fatalf("make a token: %d %s", a.status, a.body)
	}
	program := c.site.client()
	program.token = issued.Secret
	return program, issued
}

// tokens returns the names of the tokens that the client is shown.
func (c *client) tokens() (out []string) {
	c.t.Helper()
	for _, t := range get[api.Tokens](c, "/api/v1/tokens").Tokens {
		out = append(out, t.Name)
	}
	return out
}

func TestTokenLetsAProgramInUntilItIsRevoked(t *testing.T) {
	s := open(t, nil)
	ann := s.analyst()
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	program, issued := ann.issue(api.NewToken{Name: "ci", Role: "viewer", Expires: &end})
	if me := get[api.Session](program, "/api/v1/session"); me.User != (api.User{Name: "token:ci", Role: "viewer"}) {
		t.Errorf("the token is %+v", me.User)
	}
	a := ann.do(http.MethodGet, "/api/v1/tokens", nil)
	var list api.Tokens
	must(t, json.Unmarshal([]byte(a.body), &list))
	if len(list.Tokens) != 1 || list.Tokens[0].Owner != "ann" || !list.Tokens[0].Expires.Equal(end) || list.Tokens[0].LastUsed == nil {
		t.Errorf("the list is %s", a.body)
	}
	if _, secret, _ := strings.Cut(strings.TrimPrefix(issued.Secret, "vitrine_"), "_"); secret == "" || strings.Contains(a.body, secret) {
		t.Errorf("the list shows the secret %q", secret)
	}
	if a := ann.do(http.MethodDelete, "/api/v1/tokens/"+issued.Token.ID, nil); a.status != 204 {
		t.Errorf("revoke: %d %s", a.status, a.body)
	}
	if a := program.do(http.MethodGet, "/api/v1/session", nil); a.status != 401 {
		t.Errorf("after its end: %d %s", a.status, a.body)
	}
	want := []string{"ann token.revoke " + issued.Token.ID + " ok", "ann token.create ci ok"}
	if got := s.audited(); !slices.Equal(got[:2], want) {
		t.Errorf("audited %q", got)
	}
}

func TestTokensThatAreNotMade(t *testing.T) {
	s := open(t, nil)
	clients := map[string]*client{"viewer": s.viewer(), "analyst": s.analyst(), "admin": s.admin()}
	end, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	later := end.Add(time.Second)
	clients["brief"], _ = s.analyst().issue(api.NewToken{Name: "brief", Role: "analyst", Expires: &end})
	for _, tc := range []struct {
		by    string
		token api.NewToken
		want  int
	}{
		{"viewer", api.NewToken{Name: "v", Role: "viewer"}, 200},
		{"viewer", api.NewToken{Name: "v2", Role: "analyst"}, 403},
		{"analyst", api.NewToken{Name: "a2", Role: "admin"}, 403},
		{"admin", api.NewToken{Name: "a3", Role: "admin"}, 200},
		{"admin", api.NewToken{Name: "a4", Role: "root"}, 422},
		{"admin", api.NewToken{Name: "", Role: "viewer"}, 422},
		{"admin", api.NewToken{Name: "local command line", Role: "viewer"}, 422},
		{"admin", api.NewToken{Name: "<script>", Role: "viewer"}, 422},
		{"admin", api.NewToken{Name: "past", Role: "viewer", Expires: &past}, 422},
		{"admin", api.NewToken{Name: "v", Role: "viewer"}, 409},
		{"brief", api.NewToken{Name: "b1", Role: "analyst", Expires: &end}, 200},
		{"brief", api.NewToken{Name: "b2", Role: "viewer", Expires: &later}, 403},
		{"brief", api.NewToken{Name: "b3", Role: "viewer"}, 403},
		{"brief", api.NewToken{Name: "b4", Role: "admin", Expires: &end}, 403},
	} {
		if a := clients[tc.by].do(http.MethodPost, "/api/v1/tokens", tc.token); a.status != tc.want || a.status >= 400 && a.detail() == "" {
			t.Errorf("%+v by %s: %d %s", tc.token, tc.by, a.status, a.body)
		}
	}
	if got, want := clients["admin"].tokens(), []string{"a3", "b1", "brief", "v"}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	for _, denied := range []string{"vic token.create v2 denied", "token:brief token.create b3 denied", "token:brief token.create b4 denied"} {
		if !slices.Contains(s.audited(), denied) {
			t.Errorf("not audited: %s", denied)
		}
	}
}

func TestTokensOfOthers(t *testing.T) {
	s := open(t, nil)
	program, a := s.analyst().issue(api.NewToken{Name: "a", Role: "analyst"})
	child, b := program.issue(api.NewToken{Name: "b", Role: "viewer"})
	_, v := s.viewer().issue(api.NewToken{Name: "v", Role: "viewer"})
	for _, tc := range []struct {
		name string
		*client
		sees    []string
		refused []string // ids that it can't revoke
	}{
		{"a viewer", s.viewer(), []string{"v"}, []string{a.Token.ID, b.Token.ID}},
		{"an analyst", s.analyst(), []string{"a", "b"}, []string{v.Token.ID}},
		{"a token", program, []string{"a", "b"}, []string{v.Token.ID}},
		{"a token that a token made", child, []string{"b"}, []string{a.Token.ID, v.Token.ID}},
		{"an administrator", s.admin(), []string{"a", "b", "v"}, []string{"000000000000"}},
	} {
		if got := tc.tokens(); !slices.Equal(got, tc.sees) {
			t.Errorf("%s sees %q, want %q", tc.name, got, tc.sees)
		}
		for _, id := range tc.refused {
			if a := tc.do(http.MethodDelete, "/api/v1/tokens/"+id, nil); a.status != 404 {
				t.Errorf("%s revokes %s: %d %s", tc.name, id, a.status, a.body)
			}
		}
	}
	if a := s.admin().do(http.MethodDelete, "/api/v1/tokens/"+a.Token.ID, nil); a.status != 204 {
		t.Errorf("an administrator: %d %s", a.status, a.body)
	}
	if a := child.do(http.MethodGet, "/api/v1/session", nil); a.status != 401 {
		t.Errorf("a token outlives the one that it was made with: %d", a.status)
	}
}

func TestExpiredTokenIsNobody(t *testing.T) {
	s := open(t, nil)
	secret, _, err := s.state.NewToken(t.Context(), state.Token{Name: "over", Role: state.Viewer, Created: time.Now(), Expires: time.Now().Add(-time.Second)})
	must(t, err)
	c := s.client()
	c.token = secret
	if a := c.do(http.MethodGet, "/api/v1/events/live", nil); a.status != 401 {
		t.Errorf("an expired token is let in: %d", a.status)
	}
}
