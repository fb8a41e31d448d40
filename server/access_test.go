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

// rules says for each operation of the API which roles may use it. A new route without a rule fails the test.
var rules = map[string]struct{ viewer, analyst, admin, nobody bool }{
	"sign-in": {true, true, true, true}, "health": {true, true, true, true}, "openapi": {true, true, true, true},
	"get-session": {true, true, true, false}, "sign-out": {true, true, true, false}, "change-password": {true, true, true, false},
	"overview": {true, true, true, false}, "search-events": {true, true, true, false}, "event-histogram": {true, true, true, false},
	"live-events": {true, true, true, false}, "get-event": {true, true, true, false}, "list-fields": {true, true, true, false},
	"complete": {true, true, true, false}, "get-system": {true, true, true, false}, "metrics": {true, true, true, false},
	"create-token": {true, true, true, false}, "list-tokens": {true, true, true, false}, "revoke-token": {true, true, true, false},
	"get-probe": {true, true, true, false}, "list-coverage": {true, true, true, false}, "get-probe-filter": {true, true, true, false},
	"set-probe-filter": {false, false, true, false}, "preview-probe-filter": {false, false, true, false}, "resume-probe": {false, false, true, false},
	"get-packets":   {false, true, true, false},
	"create-import": {false, true, true, false}, "list-imports": {false, true, true, false}, "get-import": {false, true, true, false}, "cancel-import": {false, true, true, false},
	"list-users": {false, false, true, false}, "create-user": {false, false, true, false}, "delete-user": {false, false, true, false}, "list-audit": {false, false, true, false},
	"get-gateway": {true, true, true, false}, "get-gateway-certificate": {true, true, true, false}, "get-gateway-policy": {true, true, true, false},
	"get-gateway-rules": {true, true, true, false}, "list-gateway-applications": {true, true, true, false},
	"list-gateway-authorities": {true, true, true, false}, "list-gateway-categories": {true, true, true, false},
	"list-gateway-changes": {false, false, true, false}, "list-gateway-distrust": {true, true, true, false},
	"list-gateway-exceptions": {true, true, true, false}, "list-gateway-pins": {true, true, true, false},
	"list-gateway-policies": {true, true, true, false},
	"approve-gateway-pin":   {false, false, true, false}, "change-gateway-exception": {false, false, true, false},
	"change-gateway-policy": {false, false, true, false}, "change-gateway-rules": {false, false, true, false},
	"check-gateway-policy": {false, false, true, false}, "create-gateway-exception": {false, false, true, false},
	"create-gateway-policy": {false, false, true, false}, "delete-gateway-authority": {false, false, true, false},
	"delete-gateway-exception": {false, false, true, false}, "delete-gateway-policy": {false, false, true, false},
	"disable-gateway-policy": {false, false, true, false}, "enable-gateway-policy": {false, false, true, false},
	"forget-gateway-pin": {false, false, true, false}, "import-gateway-authority": {false, false, true, false},
	"make-gateway-trial": {false, false, true, false}, "order-gateway-policies": {false, false, true, false},
	"reject-gateway-pin": {false, false, true, false},
}

type operationOf struct {
	OperationID string `json:"operationId"`
	Summary     string
	Description string
	Parameters  []struct{ Name, Description string }
}

// operations returns the routes of the OpenAPI document.
func operations(t *testing.T) map[[2]string]operationOf {
	t.Helper()
	doc, err := OpenAPI()
	must(t, err)
	var d struct {
		Paths map[string]map[string]operationOf
	}
	must(t, json.Unmarshal(doc, &d))
	out := map[[2]string]operationOf{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			out[[2]string{strings.ToUpper(method), path}] = op
		}
	}
	if len(out) < 20 {
		t.Fatalf("the document has only %d routes", len(out))
	}
	return out
}

func TestEveryRouteAsksForItsPermission(t *testing.T) {
	s := open(t, nil)
	token := func(role state.Role) *client {
		secret, _, err := s.state.NewToken(t.Context(), state.Token{Name: "t-" + string(role), Role: role, Created: time.Now()})
		must(t, err)
		c := s.client()
		c.token = secret
		return c
	}
	viewer, analyst, admin := token(state.Viewer), token(state.Analyst), token(state.Admin)
	bad := s.client()
	bad.token = "vitrine_000000000000_wrong"
	for route, op := range operations(t) {
		rule, ok := rules[op.OperationID]
		if !ok {
			t.Errorf("%s has no rule", op.OperationID)
			continue
		}
		path := strings.NewReplacer("{id}", strings.Repeat("0", 32), "{name}", "nobody").Replace(route[1])
		if op.OperationID == "live-events" {
			path += "?q=(" // allowed, but ends at once
		}
		for _, who := range []struct {
			name string
			*client
			may bool
		}{
			{"nobody", s.client(), rule.nobody}, {"a bad token", bad, rule.nobody},
			{"a viewer", viewer, rule.viewer}, {"an analyst", analyst, rule.analyst}, {"an administrator", admin, rule.admin},
		} {
			t.Run(op.OperationID+" by "+who.name, func(t *testing.T) {
				a := who.do(route[0], path, nil)
				refused := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden && strings.Contains(a.body, "lacks the permission")
				if refused == who.may {
					t.Errorf("%s %s: %d %s", route[0], path, a.status, a.body)
				}
				if a.status >= 400 && a.header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("the error is %s: %s", a.header.Get("Content-Type"), a.body)
				}
				if a.status >= 400 && a.detail() == "" {
					t.Errorf("the error says nothing: %s", a.body)
				}
			})
		}
	}
}

func TestDocumentExplainsEverything(t *testing.T) {
	for route, op := range operations(t) {
		if op.OperationID == "" || op.Summary == "" || op.Description == "" {
			t.Errorf("%v is not described", route)
		}
		for _, p := range op.Parameters {
			if p.Description == "" {
				t.Errorf("%v: parameter %s is not described", route, p.Name)
			}
		}
	}
	doc, err := OpenAPI()
	must(t, err)
	var d struct {
		OpenAPI    string
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Description string }
			}
		}
	}
	must(t, json.Unmarshal(doc, &d))
	if !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Errorf("version %s", d.OpenAPI)
	}
	if _, ok := d.Components.Schemas["Record"]; !ok {
		t.Error("there is no schema of a Record")
	}
	for _, ref := range strings.Split(string(doc), `"$ref": "#/components/schemas/`)[1:] {
		if name, _, _ := strings.Cut(ref, `"`); d.Components.Schemas[name].Properties == nil {
			t.Errorf("schema %s is referred to and is not there", name)
		}
	}
	s := open(t, nil)
	if a := s.client().do(http.MethodGet, "/api/v1/openapi.json", nil); a.body != string(doc) {
		t.Error("the served document is another one")
	}
}

func TestSignIn(t *testing.T) {
	s := open(t, nil)
	c := s.client()
	a := c.do(http.MethodPost, "/api/v1/session", api.SignIn{Username: " Admin", Password: adminPassword})
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"__Host-vitrine=", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %s", cookie, want)
		}
	}
	if strings.Contains(cookie, "Domain") {
		t.Errorf("cookie %q has a domain", cookie)
	}
	me := get[api.Session](c, "/api/v1/session")
	if me.User != (api.User{Name: "admin", Role: "admin"}) || me.Version != "test" || !slices.Contains(me.Permissions, "keys") {
		t.Errorf("got %+v", me)
	}
	if a := c.do(http.MethodDelete, "/api/v1/session", nil); a.status != 204 || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("sign out: %d %v", a.status, a.header)
	}
	if a := c.do(http.MethodGet, "/api/v1/session", nil); a.status != 401 {
		t.Errorf("after signing out: %d", a.status)
	}
	want := []string{"admin session.end  ok", "admin session.start  ok"}
	if got := s.audited(); !slices.Equal(got, want) {
		t.Errorf("audited %q", got)
	}
}

func TestGuessingIsSlowedDownAndTellsNothing(t *testing.T) {
	s := open(t, nil)
	c := s.client()
	known := c.do(http.MethodPost, "/api/v1/session", api.SignIn{Username: "admin", Password: "wrong"})
	unknown := c.do(http.MethodPost, "/api/v1/session", api.SignIn{Username: "nobody", Password: "wrong"})
	if known.status != 401 || known.body != unknown.body || unknown.status != 401 {
		t.Errorf("an account that exists is answered %d %s, another one %d %s", known.status, known.body, unknown.status, unknown.body)
	}
	for range throttleBurst - 2 {
		if a := c.do(http.MethodPost, "/api/v1/session", api.SignIn{Username: "admin", Password: "wrong"}); a.status != 401 {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	a := c.do(http.MethodPost, "/api/v1/session", api.SignIn{Username: "admin", Password: adminPassword})
	if a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("after %d wrong passwords: %d %s", throttleBurst, a.status, a.body)
	}
	if got := s.audited(); len(got) != throttleBurst || !slices.Contains(got, " session.start nobody denied") {
		t.Errorf("audited %q", got)
	}
}

func TestPasswordChange(t *testing.T) {
	s := open(t, nil)
	here, there := s.viewer(), s.viewer()
	for _, tc := range []struct {
		change api.PasswordChange
		want   int
	}{
		{api.PasswordChange{Old: "wrong", New: "a new long password"}, 422},
		{api.PasswordChange{Old: viewerPassword, New: "short"}, 422},
		{api.PasswordChange{Old: viewerPassword, New: "a new long password"}, 204},
	} {
		if a := here.do(http.MethodPut, "/api/v1/account/password", tc.change); a.status != tc.want {
			t.Errorf("%+v: %d %s", tc.change, a.status, a.body)
		}
	}
	if a := there.do(http.MethodGet, "/api/v1/session", nil); a.status != 401 {
		t.Errorf("the other session: %d", a.status)
	}
	if a := here.do(http.MethodGet, "/api/v1/session", nil); a.status != 200 {
		t.Errorf("this session: %d", a.status)
	}
	s.signedIn("vic", "a new long password")
}

func TestAccounts(t *testing.T) {
	s := open(t, nil)
	admin := s.admin()
	for _, tc := range []struct {
		user api.NewUser
		want int
	}{
		{api.NewUser{Name: "Bob", Role: "viewer", Password: "bob's password"}, 200},
		{api.NewUser{Name: "bob", Role: "viewer", Password: "bob's password"}, 409},
		{api.NewUser{Name: "carl", Role: "root", Password: "carl's password"}, 422},
		{api.NewUser{Name: "<script>", Role: "viewer", Password: "carl's password"}, 422},
		{api.NewUser{Name: "carl", Role: "viewer", Password: "short"}, 422},
	} {
		if a := admin.do(http.MethodPost, "/api/v1/users", tc.user); a.status != tc.want {
			t.Errorf("%+v: %d %s", tc.user, a.status, a.body)
		}
	}
	bob := s.signedIn("bob", "bob's password")
	if a := admin.do(http.MethodDelete, "/api/v1/users/bob", nil); a.status != 204 {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	if a := bob.do(http.MethodGet, "/api/v1/session", nil); a.status != 401 {
		t.Errorf("a session outlives its account: %d", a.status)
	}
	if a := admin.do(http.MethodDelete, "/api/v1/users/admin", nil); a.status != 409 {
		t.Errorf("delete the last administrator: %d %s", a.status, a.body)
	}
	if users := get[api.Users](admin, "/api/v1/users"); len(users.Users) != 3 {
		t.Errorf("got %v", users)
	}
	if entries := get[api.Audit](admin, "/api/v1/audit?limit=2"); len(entries.Entries) != 2 || entries.Entries[0].Action != "account.delete" {
		t.Errorf("got %+v", entries)
	}
}
