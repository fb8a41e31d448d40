package assembly_test

import (
	"crypto/x509"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/assembly"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// orders inspect all connections to port 443, under the authority of the name office.
func orders(t *testing.T) assembly.Orders {
	t.Helper()
	cert, key := certify(t, "Office", time.Now().Add(1000*time.Hour), true)
	office, err := authority.New([]*x509.Certificate{cert}, key, time.Now())
	check(t, err)
	all := []policy.Addresses{{Prefix: netip.MustParsePrefix("0.0.0.0/0")}}
	return assembly.Orders{
		Rules:       policy.Rules{Policies: []policy.Policy{{ID: "office", Authority: "office", Scopes: []policy.Scope{{ID: "web", Sources: all, Destinations: all}}}}},
		Authorities: map[string]*authority.Authority{"office": office},
	}
}

// TestEnforceRefuses wants told what is wrong with orders.
func TestEnforceRefuses(t *testing.T) {
	a, err := open(t, configured(), t.TempDir())
	check(t, err)
	check(t, a.Enforce(orders(t)))
	for name, c := range map[string]struct {
		change func(*assembly.Orders)
		want   string
	}{
		"none":                   {func(o *assembly.Orders) { o.Authorities = nil }, `there is no authority "office"`},
		"nil":                    {func(o *assembly.Orders) { o.Authorities["office"] = nil }, `there is no authority "office"`},
		"of no name":             {func(o *assembly.Orders) { o.Authorities = map[string]*authority.Authority{"": o.Authorities["office"]} }, `there is no authority "office"`},
		"a choice that is none":  {func(o *assembly.Orders) { o.Rules.Policies[0].Cases.NotTLS = "perhaps" }, "perhaps"},
		"a scope without source": {func(o *assembly.Orders) { o.Rules.Policies[0].Scopes[0].Sources = nil }, "sources"},
	} {
		bad := orders(t)
		c.change(&bad)
		if err := a.Enforce(bad); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	check(t, a.Close())
}

// TestKernelIsLeftAlone has rules in force without a transparent front end, in a network of their own: the kernel hears nothing of them, as it
// does with one.
func TestKernelIsLeftAlone(t *testing.T) {
	_, network := testkit.VethPair(t)
	nft := testkit.Need(t, "nft")
	kernel := func() string {
		out, err := network.Command(t.Context(), nft, "list", "tables").CombinedOutput()
		check(t, err)
		rules, err := network.Command(t.Context(), testkit.Need(t, "ip"), "rule").CombinedOutput()
		check(t, err)
		return string(out) + string(rules)
	}
	untouched := kernel()
	for _, port := range []uint16{0, 15443} {
		c := configured()
		c.Listen.Transparent = port
		var a *assembly.Assembly
		network.Do(t, func() {
			var err error
			a, err = open(t, c, t.TempDir())
			check(t, err)
		})
		if now := kernel(); now != untouched {
			t.Errorf("port %d: changed before there are rules: %s", port, now)
		}
		network.Do(t, func() { check(t, a.Enforce(orders(t))) })
		if now := kernel(); (now != untouched) != (port > 0) {
			t.Errorf("port %d: with rules, the kernel has %s", port, now)
		}
		network.Do(t, func() { check(t, a.Close()) })
		if now := kernel(); now != untouched {
			t.Errorf("port %d: left behind %s", port, now)
		}
	}
}
