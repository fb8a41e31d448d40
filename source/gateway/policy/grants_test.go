package policy_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

func TestGrants(t *testing.T) {
	net := func(s string) policy.Addresses {
		var a policy.Addresses
		if err := a.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		return a
	}
	g, err := policy.CompileGrants([]policy.Grant{
		{ID: "office", Names: []string{"api.example", "*.Corp.example"}, Sources: []policy.Addresses{net("10.1.0.0/16"), net("2001:db8::7")}},
		{ID: "lab", Names: []string{"api.example"}, Sources: []policy.Addresses{net("10.0.0.0/8")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, client, want string }{
		{"api.example", "10.1.2.3", "office"}, {"API.example.", "::ffff:10.1.2.3", "office"}, {"a.b.corp.example", "2001:db8::7", "office"},
		{"api.example", "10.2.0.1", "lab"}, {"x.corp.example", "10.2.0.1", ""}, {"corp.example", "10.1.2.3", ""}, {"api.example", "192.0.2.1", ""},
		{"", "10.1.2.3", ""}, {"evilapi.example", "10.1.2.3", ""}, {"api.example.evil", "10.1.2.3", ""}, {"api.example", "2001:db8::8", ""},
	} {
		if got := g.Find(tt.name, netip.MustParseAddr(tt.client)); got != tt.want {
			t.Errorf("%s of %s: %q, want %q", tt.client, tt.name, got, tt.want)
		}
	}
	if got := g.Find("api.example", netip.Addr{}); got != "" {
		t.Errorf("nobody may use %q", got)
	}
}

func TestGrantsThatCannotBeMeant(t *testing.T) {
	any := []policy.Addresses{{Prefix: netip.MustParsePrefix("0.0.0.0/0")}}
	for want, g := range map[string]policy.Grant{
		"id must have":         {Names: []string{"a.example"}, Sources: any},
		"names are needed":     {ID: "a", Sources: any},
		"sources are needed":   {ID: "a", Names: []string{"a.example"}},
		"is no name":           {ID: "a", Names: []string{"*"}, Sources: any},
		"10001 names and 1 so": {ID: "a", Names: make([]string, policy.MaxNames+1), Sources: any},
	} {
		if _, err := policy.CompileGrants([]policy.Grant{g}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", g.ID, err, want)
		}
	}
	ok := policy.Grant{ID: "a", Names: []string{"a.example"}, Sources: any}
	if _, err := policy.CompileGrants([]policy.Grant{ok, ok}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("twice: %v", err)
	}
	if _, err := policy.CompileGrants(make([]policy.Grant, policy.MaxGrants+1)); err == nil || !strings.Contains(err.Error(), "at most 100") {
		t.Errorf("too many: %v", err)
	}
}
