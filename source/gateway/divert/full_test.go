package divert_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/divert"
)

// TestFullScopes puts as much in force as the quota allows: 20,000 combinations in few scopes and in many, and 10,000 exempt addresses. The kernel takes
// each in one step, and in place of what was there before: in less than a second, which the race detector triples.
func TestFullScopes(t *testing.T) {
	router, _ := testkit.VethPair(t)
	nft := testkit.Need(t, "nft")
	prefix := func(text string, args ...any) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf(text, args...)) }
	scopes := func(n, sources int) (all []divert.Scope) {
		for i := range n {
			s := divert.Scope{
				Destinations: []netip.Prefix{prefix("10.%d.%d.0/24", i/256, i%256)}, SourcePorts: []divert.Ports{{First: 0, Last: 65535}},
				DestinationPorts: []divert.Ports{{First: 443, Last: 443}}, RefuseQUIC: true,
			}
			for j := range sources {
				s.Sources = append(s.Sources, prefix("172.16.%d.%d/32", j/128, 2*(j%128)))
			}
			all = append(all, s)
		}
		return all
	}
	var exempt []netip.Prefix
	for i := range 10_000 {
		exempt = append(exempt, prefix("192.%d.%d.%d/32", i/16384, i/128%128, 2*(i%128)))
	}
	d := divert.New(15443)
	for _, tt := range []struct{ scopes, sources int }{{20, 1000}, {1000, 20}} {
		started, err := testkit.StartWatch(), error(nil)
		router.Do(t, func() { err = d.Apply(scopes(tt.scopes, tt.sources), exempt) })
		testkit.SkipIfNotSupported(t, err)
		if err != nil {
			t.Fatal(err)
		}
		started.Within(t, 3*time.Second, fmt.Sprintf("to put %d scopes of %d sources in force", tt.scopes, tt.sources))
		out, err := router.Command(t.Context(), nft, "list", "table", "inet", "vitrine_gateway").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		text := string(out)
		for what, want := range map[string]int{"tproxy": tt.scopes, "reject": tt.scopes, fmt.Sprintf("10.%[1]d.%[2]d.0-10.%[1]d.%[2]d.255", (tt.scopes-1)/256, (tt.scopes-1)%256): 2, "192.0.78.30": 1, "172.16.0.2,": 1} {
			if n := strings.Count(text, what); n != want {
				t.Errorf("%d scopes: %q is there %d times, want %d", tt.scopes, what, n, want)
			}
		}
	}
	var err error
	router.Do(t, func() { err = d.Remove() })
	if err != nil {
		t.Error(err)
	}
}
