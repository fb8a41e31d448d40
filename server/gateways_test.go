package server

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/gateways"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
	"github.com/vitrine-ndr/vitrine/state"
)

// steered is a gateway that does as it is told, or refuses.
type steered struct {
	mu     sync.Mutex
	orders gateways.Orders
	refuse error
	pin    string // state of the one pin
}

func (f *steered) Status() api.Gateway {
	return api.Gateway{Running: true, Listeners: []api.GatewayListener{{Kind: "connect", Address: "127.0.0.1:3128"}}}
}

func (f *steered) Apply(o gateways.Orders) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse == nil {
		f.orders = o
	}
	return f.refuse
}

func (f *steered) Distrust() []api.DistrustingClient {
	return []api.DistrustingClient{{Client: "10.0.0.7", Count: 3, Names: []string{"shop.example"}, LastSeen: time.Unix(1700000000, 0).UTC()}}
}

func (f *steered) Pins() []api.GatewayPin {
	f.mu.Lock()
	defer f.mu.Unlock()
	return []api.GatewayPin{{ID: "0123456789abcdef", Name: "app.example", State: f.pin, Reason: "refused", Count: 4, Clients: 2}}
}

func (f *steered) Judge(id string, as gateways.Judgement) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id != "0123456789abcdef" {
		return state.ErrNotFound
	}
	f.pin = string(as)
	return nil
}

// enabled are the ids of the policies in force.
func (f *steered) enabled() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.orders.Rules.Policies {
		if !p.Disabled {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func withGateway(t *testing.T, f *steered) *site {
	return open(t, func(_ *Config, d *Deps) { d.Gateway = f })
}

func officePolicy(id string) api.GatewayPolicy {
	return api.GatewayPolicy{ID: id, Authority: "trial", Scopes: []api.GatewayScope{{
		ID: "web", Sources: []string{"10.1.0.0/16", "2001:db8::/32"}, Destinations: []string{"0.0.0.0/0"}, DestinationPorts: []string{"443/443", "8443/8450"},
	}}}
}

// must sends a request that must be answered with the status, and returns the answer.
func (c *client) must(status int, method, path string, body any) answer {
	c.t.Helper()
	a := c.do(method, "/api/v1/gateway"+path, body)
	if a.status != status {
		c.t.Fatalf("%s %s: %d %s; want %d", method, path, a.status, a.body, status)
	}
	return a
}

func (c *client) makeTrial() { c.must(200, http.MethodPost, "/authorities/trial", api.NewTrial{}) }

func TestPolicyFromItsFirstDayToItsLast(t *testing.T) {
	f := &steered{}
	s := withGateway(t, f)
	admin := s.admin()
	admin.makeTrial()
	admin.must(200, http.MethodPost, "/policies", officePolicy("office"))
	if got := f.enabled(); got != nil {
		t.Errorf("a new policy is enabled: %v", got)
	}
	if a := admin.must(409, http.MethodPost, "/policies", officePolicy("office")); !strings.Contains(a.detail(), "Choose another id") {
		t.Error(a.body)
	}
	admin.must(200, http.MethodPost, "/policies/office/enable", nil)
	if got := f.enabled(); !slices.Equal(got, []string{"office"}) || f.orders.Authorities["trial"] == nil {
		t.Errorf("in force: %v with %v", got, f.orders.Authorities)
	}
	if a := admin.must(409, http.MethodDelete, "/policies/office", nil); !strings.Contains(a.detail(), "Disable it first") {
		t.Error(a.body)
	}
	changed := officePolicy("office")
	changed.Name, changed.Cases.NoName = "The office", policy.Block
	admin.must(200, http.MethodPut, "/policies/office", changed)
	var got api.StoredPolicy
	must(t, json.Unmarshal([]byte(admin.must(200, http.MethodGet, "/policies/office", nil).body), &got))
	if *got.Disabled || got.Name != "The office" || got.Cases.NoName != policy.Block || got.QuotaUsed != 4 || got.Scopes[0].Sources[1] != "2001:db8::/32" {
		t.Errorf("got %+v", got)
	}
	admin.must(200, http.MethodPost, "/policies/office/disable", nil)
	if got := f.enabled(); got != nil {
		t.Errorf("in force: %v", got)
	}
	admin.must(204, http.MethodDelete, "/policies/office", nil)
	admin.must(404, http.MethodGet, "/policies/office", nil)

	var actions []string
	for _, c := range get[api.GatewayChanges](admin, "/api/v1/gateway/changes").Changes {
		if c.User != "admin" || c.Outcome != "ok" || time.Since(c.Time) > time.Hour {
			t.Errorf("recorded %+v", c)
		}
		actions = append(actions, strings.Join([]string{c.Action, c.Object, c.Summary}, "|"))
	}
	slices.Reverse(actions)
	const summary = "abled; authority trial; scopes: 1, using 4 of the quota"
	want := []string{"policy.create|office|dis" + summary, "policy.enable|office|en" + summary, "policy.change|office|en" + summary, "policy.disable|office|dis" + summary, "policy.delete|office|"}
	if !strings.HasPrefix(actions[0], "authority.trial|trial|CN=Vitrine trial CA") || !slices.Equal(actions[1:], want) {
		t.Errorf("recorded %q", actions)
	}
}

func TestWhatTheGatewayRefusesStaysAsItWas(t *testing.T) {
	f := &steered{}
	admin := withGateway(t, f).admin()
	admin.makeTrial()
	admin.must(200, http.MethodPost, "/policies", officePolicy("office"))
	f.refuse = errors.New("change nftables: operation not permitted")
	if a := admin.must(409, http.MethodPost, "/policies/office/enable", nil); !strings.Contains(a.detail(), "operation not permitted") {
		t.Error(a.body)
	}
	admin.must(409, http.MethodPost, "/exceptions", api.GatewayException{ID: "x", Kind: "block", Names: []string{"evil.example"}})
	if got := get[api.StoredPolicy](admin, "/api/v1/gateway/policies/office"); !*got.Disabled {
		t.Error("the policy is enabled all the same")
	}
	if got := get[api.GatewayExceptions](admin, "/api/v1/gateway/exceptions").Exceptions; len(got) != 0 {
		t.Errorf("kept %v", got)
	}
	if c := get[api.GatewayChanges](admin, "/api/v1/gateway/changes").Changes[0]; c.Action != "exception.create" || c.Outcome != "failed" {
		t.Errorf("recorded %+v", c)
	}
}

// TestWithoutGateway checks that what is decided while there is no gateway waits for one.
func TestWithoutGateway(t *testing.T) {
	s := open(t, func(_ *Config, d *Deps) {
		d.Roles = func() []api.RoleOf {
			return []api.RoleOf{{Name: "gateway", Why: "turn it on with --gateway", Off: api.NotTurnedOn}}
		}
	})
	admin := s.admin()
	admin.makeTrial()
	admin.must(200, http.MethodPost, "/policies", officePolicy("office"))
	admin.must(200, http.MethodPost, "/policies/office/enable", nil)
	got := get[api.Gateway](admin, "/api/v1/gateway")
	if got.Running || got.WhyNot != "turn it on with --gateway" || got.Off != api.NotTurnedOn || got.Quota != (api.Quota{Used: 4, Left: 19_996, Max: 20_000}) || len(got.Authorities) != 1 || !slices.Equal(got.Authorities[0].UsedBy, []string{"office"}) {
		t.Errorf("got %+v", got)
	}
	for _, path := range []string{"/distrust", "/pins", "/categories", "/exceptions", "/policies", "/changes", "/authorities"} {
		if a := admin.must(200, http.MethodGet, path, nil); strings.Contains(a.body, "null") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	admin.must(409, http.MethodPost, "/pins/0123456789abcdef/approve", nil)
	orders, err := s.srv.deps.Book.Current(t.Context(), time.Now())
	must(t, err)
	if orders.Rules.Policies[0].Disabled || orders.Authorities["trial"] == nil {
		t.Errorf("the next gateway has %+v", orders)
	}
}

func TestPolicyCheck(t *testing.T) {
	admin := withGateway(t, &steered{}).admin()
	admin.makeTrial()
	admin.must(200, http.MethodPost, "/policies", officePolicy("office"))
	check := func(p api.GatewayPolicy) api.PolicyCheck {
		t.Helper()
		var out api.PolicyCheck
		must(t, json.Unmarshal([]byte(admin.must(200, http.MethodPost, "/policy-check", p).body), &out))
		return out
	}
	good := check(officePolicy("branch"))
	if len(good.Problems) > 0 || good.Quota.Used != 8 || good.Quota.Scopes[0] != (api.ScopeQuota{ID: "web", Sources: 2, SourceRanges: 1, Destinations: 1, DestinationRanges: 2, Units: 4}) {
		t.Errorf("got %+v", good)
	}
	if again := check(officePolicy("office")); again.Quota.Used != 4 {
		t.Errorf("a stored policy counts twice: %+v", again)
	}
	bad := officePolicy("b d")
	bad.Authority, bad.Cases.NotTLS = "none", "perhaps"
	bad.Scopes[0].Sources[1], bad.Scopes[0].DestinationPorts[0] = "10.0.0.1/8", "443"
	bad.Scopes = append(bad.Scopes, api.GatewayScope{ID: "web"})
	var fields []string
	for _, p := range check(bad).Problems {
		fields = append(fields, p.Field)
	}
	want := []string{"scopes[0].sources[1]", "scopes[0].destination_ports[0]", "id", "scopes[1].sources", "scopes[1].destinations", "scopes[1].id", "cases.not_tls", "authority"}
	if !slices.Equal(fields, want) {
		t.Errorf("got  %v\nwant %v", fields, want)
	}
	a := admin.must(422, http.MethodPost, "/policies", bad)
	if !strings.Contains(a.body, `"location":"body.scopes[0].sources[1]"`) || !strings.Contains(a.detail(), "write 10.0.0.0/8") {
		t.Error(a.body)
	}
}

func TestQuotaIsRefusedWithTheNumbers(t *testing.T) {
	admin := withGateway(t, &steered{}).admin()
	admin.makeTrial()
	admin.must(200, http.MethodPost, "/policies", officePolicy("office"))
	p := officePolicy("large")
	p.Scopes[0].Sources = nil
	for range 200 {
		p.Scopes[0].Sources = append(p.Scopes[0].Sources, "10.0.0.1")
	}
	for range 99 {
		p.Scopes[0].Destinations = append(p.Scopes[0].Destinations, "10.0.0.1")
	}
	a := admin.must(422, http.MethodPost, "/policies", p)
	if want := "the scopes need 40004 of a quota of 20000, 20004 too many; the largest are large/web: 200 sources x 1 source port ranges x 100 destinations x 2"; !strings.Contains(a.detail(), want) {
		t.Errorf("got %s", a.detail())
	}
}

func TestPolicyOrder(t *testing.T) {
	f := &steered{}
	admin := withGateway(t, f).admin()
	admin.makeTrial()
	for _, id := range []string{"a", "b", "c"} {
		p := officePolicy(id)
		p.Disabled = new(false)
		admin.must(200, http.MethodPost, "/policies", p)
	}
	for _, ids := range [][]string{{"a", "b"}, {"a", "b", "b"}, {"a", "b", "d"}, {"a", "b", "c", "c"}} {
		admin.must(422, http.MethodPut, "/policy-order", api.PolicyOrder{IDs: ids})
	}
	admin.must(200, http.MethodPut, "/policy-order", api.PolicyOrder{IDs: []string{"c", "a", "b"}})
	var stored []string
	for _, p := range get[api.GatewayPolicies](admin, "/api/v1/gateway/policies").Policies {
		stored = append(stored, p.ID)
	}
	if want := []string{"c", "a", "b"}; !slices.Equal(stored, want) || !slices.Equal(f.enabled(), want) {
		t.Errorf("stored %v, in force %v", stored, f.enabled())
	}
}

func TestExceptions(t *testing.T) {
	f := &steered{}
	admin := withGateway(t, f).admin()
	banks := api.GatewayException{ID: "banks", Kind: "bypass", Names: []string{"Bank.Example "}, Categories: []string{"banking"}, Addresses: []string{"192.0.2.0/24"}, Reason: "privacy"}
	admin.must(200, http.MethodPost, "/exceptions", banks)
	admin.must(409, http.MethodPost, "/exceptions", banks)
	admin.must(404, http.MethodPut, "/exceptions/none", api.GatewayException{ID: "none", Kind: "block", Names: []string{"x.example"}})
	banks.Kind = "block"
	admin.must(200, http.MethodPut, "/exceptions/banks", banks)
	if r := f.orders.Rules; len(r.Bypass) != 0 || len(r.Block) != 1 || r.Block[0].Names[0] != "bank.example" || r.Block[0].Reason != "privacy" {
		t.Errorf("in force: %+v", r)
	}
	for name, e := range map[string]api.GatewayException{
		"would never apply": {ID: "x", Kind: "block"}, "is no name": {ID: "x", Kind: "block", Names: []string{"*"}}, `no category "banks"`: {ID: "x", Kind: "block", Categories: []string{"banks"}},
		"no address and no CIDR": {ID: "x", Kind: "block", Addresses: []string{"localhost"}}, "id must have": {ID: "a b", Kind: "block", Names: []string{"x.example"}},
	} {
		if a := admin.must(422, http.MethodPost, "/exceptions", e); !strings.Contains(a.detail(), name) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	admin.must(204, http.MethodDelete, "/exceptions/banks", nil)
	admin.must(404, http.MethodDelete, "/exceptions/banks", nil)
	if len(f.orders.Rules.Block) != 0 {
		t.Error("a deleted exception is in force")
	}
}

func TestAuthorities(t *testing.T) {
	s := withGateway(t, &steered{})
	admin := s.admin()
	admin.makeTrial()
	if a := admin.must(409, http.MethodPost, "/authorities/trial", api.NewTrial{Name: "other"}); !strings.Contains(a.detail(), "possible once") {
		t.Error(a.body)
	}
	admin.must(200, http.MethodPost, "/policies", officePolicy("office"))
	if a := admin.must(409, http.MethodDelete, "/authorities/trial", nil); !strings.Contains(a.detail(), "office uses") {
		t.Error(a.body)
	}
	got := get[api.Authorities](admin, "/api/v1/gateway/authorities").Authorities
	if len(got) != 1 || !got[0].Trial || got[0].Reminder != "below_one_year" || got[0].KeyType != "ECDSA P-256" || got[0].ChainLength != 1 || len(got[0].Fingerprint) != 64 {
		t.Errorf("got %+v", got)
	}
	for format, begins := range map[string]string{"crt": "-----BEGIN CERTIFICATE", "chain": "-----BEGIN CERTIFICATE", "p7b": "-----BEGIN PKCS7", "jks": "\xfe\xed\xfe\xed"} {
		a := s.viewer().must(200, http.MethodGet, "/authorities/trial/certificate?format="+format, nil)
		if !strings.HasPrefix(a.body, begins) || !strings.HasPrefix(a.header.Get("Content-Disposition"), `attachment; filename="vitrine-trial`) || strings.Contains(a.body, "PRIVATE") {
			t.Errorf("%s: %v %.40q", format, a.header, a.body)
		}
	}
	admin.must(404, http.MethodGet, "/authorities/none/certificate", nil)
	admin.must(204, http.MethodDelete, "/policies/office", nil)
	admin.must(204, http.MethodDelete, "/authorities/trial", nil)
	admin.must(409, http.MethodPost, "/authorities/trial", api.NewTrial{})
}

// TestImportedAuthority imports an authority with a sealed key, and finds the key nowhere in the clear.
func TestImportedAuthority(t *testing.T) {
	f := &steered{}
	var dir string
	s := open(t, func(c *Config, d *Deps) { dir, d.Gateway = c.Dir, f })
	admin := s.admin()
	a, key, err := authority.NewTrial("import", time.Now())
	must(t, err)
	sealed, err := authority.Seal(key, authority.Passphrase("open sesame"))
	must(t, err)
	in := api.NewAuthority{Name: "office", PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root().Raw})), KeyPEM: string(sealed)}
	for passphrase, want := range map[string]string{"": "give its passphrase", "wrong": "does not open the key"} {
		in.Passphrase = passphrase
		if a := admin.must(422, http.MethodPost, "/authorities", in); !strings.Contains(a.detail(), want) {
			t.Errorf("%q: %s", passphrase, a.body)
		}
	}
	admin.must(422, http.MethodPost, "/authorities", api.NewAuthority{Name: "office", PKCS12: []byte("none")})
	in.Passphrase = "open sesame"
	admin.must(200, http.MethodPost, "/authorities", in)
	admin.must(409, http.MethodPost, "/authorities", in)
	in.Name = "a/b"
	admin.must(422, http.MethodPost, "/authorities", in)
	if f.orders.Authorities["office"] != nil {
		t.Error("the gateway has what nobody uses before it was kept")
	}
	plain, err := authority.Seal(key, nil)
	must(t, err)
	block, _ := pem.Decode(plain)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	searched := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a folder
		}
		searched++
		if bytes.Contains(text, block.Bytes) || bytes.Contains(text, plain[40:100]) || bytes.Contains(text, []byte("open sesame")) {
			t.Errorf("a secret is in %s", file)
		}
	}
	if searched < 3 {
		t.Errorf("only %d files in %s", searched, dir)
	}
}

func TestRulesAboutRequests(t *testing.T) {
	f := &steered{}
	admin := withGateway(t, f).admin()
	if got := get[api.RequestRules](admin, "/api/v1/gateway/rules"); got.Text != "" {
		t.Errorf("got %+v", got)
	}
	const text = "rules:\n- {id: no-uploads, action: block, methods: [PUT], urls: [shop.example/*]}\n"
	admin.must(200, http.MethodPut, "/rules", api.RequestRules{Text: text})
	if got := get[api.RequestRules](admin, "/api/v1/gateway/rules"); got.Text != text || f.orders.Engine == nil || !f.orders.Engine.Blocks("any") {
		t.Errorf("got %+v, in force %+v", got, f.orders.Engine)
	}
	bad := admin.must(422, http.MethodPut, "/rules", api.RequestRules{Text: "rules:\n- {id: a, action: perhaps}\n- {id: b, action: never}\n"})
	var answer struct {
		Errors []struct{ Message, Location string }
	}
	must(t, json.Unmarshal([]byte(bad.body), &answer))
	if len(answer.Errors) != 2 || !strings.Contains(answer.Errors[1].Message, "rule b") || answer.Errors[0].Location != "body.text" {
		t.Errorf("got %s", bad.body)
	}
	if got := get[api.RequestRules](admin, "/api/v1/gateway/rules"); got.Text != text {
		t.Errorf("kept %q", got.Text)
	}
	admin.must(200, http.MethodPut, "/rules", api.RequestRules{})
	if f.orders.Engine != nil {
		t.Error("no rules, and something judges")
	}
	if got := get[api.GatewayApplications](admin, "/api/v1/gateway/applications").Applications; len(got) < 10 || got[0].ID == "" || len(got[0].URLs) == 0 {
		t.Errorf("got %+v", got)
	}
	if c := get[api.GatewayChanges](admin, "/api/v1/gateway/changes").Changes; len(c) != 2 || c[1].Action != "rules.change" || c[1].Summary != "rules: 1" {
		t.Errorf("recorded %+v", c)
	}
}

func TestPins(t *testing.T) {
	s := withGateway(t, &steered{pin: "learnt"})
	admin, analyst, viewer := s.admin(), s.analyst(), s.viewer()
	pin := func() api.GatewayPin { return get[api.GatewayPins](viewer, "/api/v1/gateway/pins").Pins[0] }
	if got := pin(); got.Name != "app.example" || got.State != "learnt" {
		t.Errorf("got %+v", got)
	}
	for _, do := range []struct{ method, path, state string }{{http.MethodPost, "/approve", "approve"}, {http.MethodPost, "/reject", "reject"}, {http.MethodDelete, "", "forget"}} {
		admin.must(204, do.method, "/pins/0123456789abcdef"+do.path, nil)
		if got := pin().State; got != do.state {
			t.Errorf("the pin is %s after %s", got, do.state)
		}
		admin.must(404, do.method, "/pins/x"+do.path, nil)
		analyst.must(403, do.method, "/pins/0123456789abcdef"+do.path, nil)
	}
	c := get[api.GatewayChanges](admin, "/api/v1/gateway/changes").Changes
	if first := c[len(c)-1]; first.Action != "pin.approve" || first.Summary != "app.example" || c[0].Outcome != "failed" {
		t.Errorf("recorded %+v", c)
	}
	if got := get[api.GatewayDistrust](viewer, "/api/v1/gateway/distrust").Clients; len(got) != 1 || got[0].Client != "10.0.0.7" {
		t.Errorf("got %+v", got)
	}
}

// TestLostSecret has the file be lost that opens the keys: the rest works, and says what is wrong.
func TestLostSecret(t *testing.T) {
	f := &steered{}
	s := open(t, func(c *Config, d *Deps) { d.Gateway = f })
	admin := s.admin()
	admin.makeTrial()
	p := officePolicy("office")
	p.Disabled = new(false)
	admin.must(200, http.MethodPost, "/policies", p)
	book, err := gateways.OpenBook(s.state, t.TempDir(), nil)
	must(t, err)
	s.srv.deps.Book = book
	orders, err := book.Current(t.Context(), time.Now())
	must(t, err)
	if len(orders.Faults) != 1 || !orders.Rules.Policies[0].Disabled || !strings.Contains(orders.Faults[0], "policy office has no authority that can sign") {
		t.Errorf("orders are %+v", orders)
	}
}

func TestOnlyAdministratorsSteer(t *testing.T) {
	s := withGateway(t, &steered{})
	for _, c := range []*client{s.analyst(), s.viewer()} {
		c.must(200, http.MethodGet, "/policies", nil)
		for _, route := range [][2]string{
			{http.MethodPost, "/policies"}, {http.MethodPut, "/policies/x"}, {http.MethodDelete, "/policies/x"}, {http.MethodPost, "/policies/x/enable"},
			{http.MethodPost, "/policies/x/disable"}, {http.MethodPut, "/policy-order"}, {http.MethodPost, "/policy-check"}, {http.MethodPost, "/exceptions"},
			{http.MethodPut, "/exceptions/x"}, {http.MethodDelete, "/exceptions/x"}, {http.MethodPost, "/authorities"}, {http.MethodPost, "/authorities/trial"},
			{http.MethodDelete, "/authorities/x"}, {http.MethodGet, "/changes"}, {http.MethodPut, "/rules"},
		} {
			c.must(403, route[0], route[1], map[string]string{})
		}
	}
	entries, err := s.state.AuditEntries(t.Context(), "", 1000)
	must(t, err)
	if !slices.ContainsFunc(entries, func(e state.AuditEntry) bool { return e.Outcome == state.Denied && e.Action == "enable-gateway-policy" }) {
		t.Error("no attempt is recorded")
	}
}
