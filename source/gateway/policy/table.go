package policy

import (
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/rules/categories"
)

// Table answers for one connection after another. It does not change, so that any number of goroutines may use it: other rules
// are another Table.
type Table struct {
	policies      []Policy      // enabled ones
	scopes        []policyScope // all of theirs, in order
	from, to      sides         // of their numbers
	block, bypass exceptions
}

// policyScope is a scope of an enabled policy.
type policyScope struct {
	policy *Policy
	scope  *Scope
}

// Compile checks the rules and makes them fast.
func Compile(r Rules) (*Table, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	t := &Table{block: compile(r.Block), bypass: compile(r.Bypass)}
	for _, p := range r.Policies {
		if p.Disabled {
			continue
		}
		p.Cases = p.Cases.complete()
		p.Scopes = slices.Clone(p.Scopes)
		for i := range p.Scopes {
			p.Scopes[i] = p.Scopes[i].Complete()
		}
		t.policies = append(t.policies, p)
	}
	t.number()
	return t, nil
}

// BlocksNames reports whether a name may decide that a connection is blocked.
func (t *Table) BlocksNames() bool { return len(t.block.exact)+len(t.block.below) > 0 }

// number makes the scopes quick to find.
func (t *Table) number() {
	for i := range t.policies {
		p := &t.policies[i]
		for j := range p.Scopes {
			s, n := &p.Scopes[j], int32(len(t.scopes))
			t.scopes = append(t.scopes, policyScope{p, s})
			for _, a := range s.Sources {
				t.from.add(a, n)
			}
			for _, a := range s.Destinations {
				t.to.add(a, n)
			}
		}
	}
}

// Authorities are the names that policies sign with. That of the first one is empty.
func (t *Table) Authorities() (names []string) {
	for _, p := range t.policies {
		if !slices.Contains(names, p.Authority) {
			names = append(names, p.Authority)
		}
	}
	return names
}

// Complete returns the scope with its defaults filled in.
func (s Scope) Complete() Scope {
	if len(s.SourcePorts) == 0 {
		s.SourcePorts = []Ports{AnyPort}
	}
	if len(s.DestinationPorts) == 0 {
		s.DestinationPorts = []Ports{{443, 443}}
	}
	return s
}

// complete fills in the defaults.
func (c Cases) complete() Cases {
	for choice, byDefault := range map[*Choice]Choice{
		&c.BadCertificate: Mirror, &c.ClientCertificate: Bypass, &c.Unsupported: Bypass, &c.NoName: Inspect, &c.Pinned: Bypass, &c.NotTLS: Inspect, &c.OverCapacity: Bypass,
	} {
		if *choice == ByDefault {
			*choice = byDefault
		}
	}
	return c
}

// Conn is what is known of a connection. The name is empty where the client has named no server, or not yet.
type Conn struct {
	Client, Server netip.AddrPort
	Name           string
}

// Decision is what is done with a connection, and by whose word.
type Decision struct {
	flow.Policy
	Authority   string
	Cases       Cases // valid iff Action is flow.Inspect
	RefusesQUIC bool  // likewise
}

// Decide finds the policy of a connection. What is in no scope is bypassed, without a rule's id.
func (t *Table) Decide(c Conn) Decision {
	server := c.Server.Addr().Unmap()
	d := Decision{Policy: flow.Policy{Action: flow.Bypass}}
	if p, s := t.find(c, server); p != nil {
		d.ID, d.Scope, d.Authority, d.Cases, d.Action, d.RefusesQUIC = p.ID, s.ID, p.Authority, p.Cases, flow.Inspect, !s.AllowQUIC
	}
	name := strings.TrimSuffix(strings.ToLower(c.Name), ".")
	if id := t.block.find(name, server); id != "" {
		d.Rule, d.Action = id, flow.Block
	} else if id := t.bypass.find(name, server); id != "" && d.Action == flow.Inspect {
		d.Rule, d.Action = id, flow.Bypass
	}
	return d
}

// find returns the first scope that fits. It looks at those alone that have the address of the side at which fewer have.
func (t *Table) find(c Conn, server netip.Addr) (*Policy, *Scope) {
	client := c.Client.Addr().Unmap()
	var rooms [2][4][]int32
	from, n := t.from.lists(client, rooms[0][:0])
	to, m := t.to.lists(server, rooms[1][:0])
	few, other := from, to
	if m < n {
		few, other = to, from
	}
	first := int32(len(t.scopes))
	for _, list := range few {
		for _, n := range list {
			if n >= first {
				break
			}
			s := t.scopes[n].scope
			if hasPort(s.DestinationPorts, c.Server.Port()) && hasPort(s.SourcePorts, c.Client.Port()) && among(other, n) {
				first = n
				break
			}
		}
	}
	if int(first) == len(t.scopes) {
		return nil, nil
	}
	return t.scopes[first].policy, t.scopes[first].scope
}

// among tells whether a number is in one of the lists, which are in order.
func among(lists [][]int32, n int32) bool {
	return slices.ContainsFunc(lists, func(l []int32) bool {
		_, found := slices.BinarySearch(l, n)
		return found
	})
}

func hasPort(list []Ports, port uint16) bool {
	return slices.ContainsFunc(list, func(p Ports) bool { return p.has(port) })
}

// exceptions are rules, found by name and by address.
type exceptions struct {
	exact, below map[string]string // the ids of rules, by the name, and by what follows "*."
	addresses    prefixes[rule]
}

// rule is one of several, by its number among them and its id.
type rule struct {
	number int
	id     string
}

func compile(list []Exception) exceptions {
	e := exceptions{exact: map[string]string{}, below: map[string]string{}}
	for i, x := range list {
		for _, n := range x.names() {
			into := e.exact
			n, wild := strings.CutPrefix(strings.ToLower(n), "*.")
			if wild {
				into = e.below
			}
			if into[n] == "" {
				into[n] = x.ID
			}
		}
		for _, a := range x.Addresses {
			if _, known := e.addresses.notes[a.Masked()]; !known {
				e.addresses.set(a.Prefix, rule{i, x.ID})
			}
		}
	}
	return e
}

// names are those that the rule has itself, and those of its categories.
func (e *Exception) names() []string {
	all := slices.Clone(e.Names)
	for _, c := range e.Categories {
		all = append(all, categories.Names(c)...)
	}
	return all
}

// find returns the id of a rule that fits, or an empty string. The name decides before the address, the longer name before the
// shorter, and of addresses the first rule.
func (e *exceptions) find(name string, server netip.Addr) string {
	if id := e.exact[name]; id != "" && name != "" {
		return id
	}
	for rest := name; rest != ""; {
		if _, rest, _ = strings.Cut(rest, "."); e.below[rest] != "" {
			return e.below[rest]
		}
	}
	first := rule{number: math.MaxInt}
	e.addresses.each(server, func(r rule) {
		if r.number < first.number {
			first = r
		}
	})
	return first.id
}
