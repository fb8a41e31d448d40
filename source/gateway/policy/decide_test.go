package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// fullRules use up the quota and the number of exceptions, in many scopes or in large ones.
func fullRules(scopes, sources int) (r policy.Rules) {
	address := func(text string, args ...any) policy.Addresses {
		return policy.Addresses{Prefix: netip.MustParsePrefix(fmt.Sprintf(text, args...))}
	}
	for i := range scopes {
		s := policy.Scope{ID: fmt.Sprintf("s%d", i%policy.MaxScopes), Destinations: []policy.Addresses{address("10.%d.%d.0/24", i/256, i%256)}}
		for j := range sources {
			s.Sources = append(s.Sources, address("172.16.%d.%d/32", j/256, j%256))
		}
		if i%policy.MaxScopes == 0 {
			r.Policies = append(r.Policies, policy.Policy{ID: fmt.Sprintf("p%d", i/policy.MaxScopes)})
		}
		p := &r.Policies[len(r.Policies)-1]
		p.Scopes = append(p.Scopes, s)
	}
	for i := range policy.MaxExceptions {
		r.Bypass = append(r.Bypass, policy.Exception{ID: fmt.Sprintf("x%d", i), Names: []string{fmt.Sprintf("n%d.example", i)}, Addresses: []policy.Addresses{address("192.0.%d.%d/32", i/256, i%256)}})
	}
	return r
}

// BenchmarkDecide asks a full table about a connection that fits its last scope and no exception.
func BenchmarkDecide(b *testing.B) {
	for _, size := range []struct{ scopes, sources int }{{20, 1000}, {10_000, 2}} {
		b.Run(fmt.Sprintf("%d scopes of %d sources", size.scopes, size.sources), func(b *testing.B) {
			table, err := policy.Compile(fullRules(size.scopes, size.sources))
			if err != nil {
				b.Fatal(err)
			}
			last := size.scopes - 1
			c := policy.Conn{
				Client: netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("172.16.%d.%d", (size.sources-1)/256, (size.sources-1)%256)), 40_000),
				Server: netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("10.%d.%d.7", last/256, last%256)), 443), Name: "www.shop.example",
			}
			if d := table.Decide(c); d.ID != fmt.Sprintf("p%d", last/policy.MaxScopes) {
				b.Fatalf("decided %+v", d)
			}
			b.ReportAllocs()
			for b.Loop() {
				table.Decide(c)
			}
		})
	}
}

// plainly decides about addresses and ports by reading rules from their first to their last.
func plainly(r policy.Rules, c policy.Conn) string {
	in := func(list []policy.Addresses, a netip.Addr) bool {
		return slices.ContainsFunc(list, func(x policy.Addresses) bool { return x.Contains(a) })
	}
	port := func(list []policy.Ports, n uint16) bool {
		return slices.ContainsFunc(list, func(p policy.Ports) bool { return p.First <= n && n <= p.Last })
	}
	rule := func(list []policy.Exception) string {
		for _, e := range list {
			if in(e.Addresses, c.Server.Addr()) {
				return e.ID
			}
		}
		return ""
	}
	id, action := "/", flow.Bypass
	for _, p := range slices.Backward(r.Policies) {
		for _, s := range slices.Backward(p.Scopes) {
			s = s.Complete()
			if in(s.Sources, c.Client.Addr()) && in(s.Destinations, c.Server.Addr()) && port(s.SourcePorts, c.Client.Port()) && port(s.DestinationPorts, c.Server.Port()) {
				id, action = p.ID+"/"+s.ID, flow.Inspect
			}
		}
	}
	by := ""
	if x := rule(r.Block); x != "" {
		action, by = flow.Block, x
	} else if x := rule(r.Bypass); x != "" && action == flow.Inspect {
		action, by = flow.Bypass, x
	}
	return fmt.Sprintf("%s %s %s", action, id, by)
}

// TestDecidesAsItIsWritten compares a Table with rules that are read plainly: with many that overlap, at random.
func TestDecidesAsItIsWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	address := func() netip.Addr {
		if random.IntN(3) == 0 {
			return netip.AddrFrom16([16]byte{0x20, 1, 13: byte(random.IntN(3)), 14: byte(random.IntN(4)), 15: byte(random.IntN(4))})
		}
		return netip.AddrFrom4([4]byte{10, byte(random.IntN(3)), byte(random.IntN(4)), byte(random.IntN(4))})
	}
	some := func(n int) (list []policy.Addresses) {
		for range 1 + random.IntN(n) {
			a := address()
			list = append(list, policy.Addresses{Prefix: netip.PrefixFrom(a, a.BitLen()-random.IntN(20)).Masked()})
		}
		return list
	}
	ports := func() []policy.Ports {
		first := uint16(random.IntN(4))
		return []policy.Ports{{First: first, Last: first + uint16(random.IntN(4))}}
	}
	seen := map[string]bool{}
	for range 300 {
		var r policy.Rules
		for i := range random.IntN(5) {
			p := policy.Policy{ID: fmt.Sprintf("p%d", i)}
			for j := range 1 + random.IntN(6) {
				p.Scopes = append(p.Scopes, policy.Scope{ID: fmt.Sprintf("s%d", j), Sources: some(4), SourcePorts: ports(), Destinations: some(4), DestinationPorts: ports()})
			}
			r.Policies = append(r.Policies, p)
		}
		for i := range 4 {
			r.Block = append(r.Block, policy.Exception{ID: fmt.Sprintf("b%d", i), Addresses: some(1)})
			r.Bypass = append(r.Bypass, policy.Exception{ID: fmt.Sprintf("x%d", i), Addresses: some(3)})
		}
		table, err := policy.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			c := policy.Conn{Client: netip.AddrPortFrom(address(), uint16(random.IntN(7))), Server: netip.AddrPortFrom(address(), uint16(random.IntN(7)))}
			d := table.Decide(c)
			got, want := fmt.Sprintf("%s %s/%s %s", d.Action, d.ID, d.Scope, d.Rule), plainly(r, c)
			if got != want {
				t.Fatalf("%v to %v: %s, want %s\n%+v", c.Client, c.Server, got, want, r)
			}
			seen[want] = true
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d different decisions were tried", len(seen))
	}
}
