package policy

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Table answers for one connection after another. It does not change, so that any number of goroutines may use it: other rules
// are another Table.
type Table struct {
	policies      []Policy // enabled ones
	block, bypass exceptions
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
	return t, nil
}

// Authorities are the names that policies sign with, besides the first one's, which is empty.
func (t *Table) Authorities() (names []string) {
	for _, p := range t.policies {
		if p.Authority != "" && !slices.Contains(names, p.Authority) {
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
		&c.BadCertificate: Mirror, &c.ClientCertificate: Bypass, &c.Unsupported: Bypass, &c.NoName: Inspect, &c.Pinned: Bypass, &c.NotTLS: Inspect,
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
	Authority string
	Cases     Cases // valid iff Action is flow.Inspect
}

// Decide finds the policy of a connection. What is in no scope is bypassed, without a rule's id.
func (t *Table) Decide(c Conn) Decision {
	server := c.Server.Addr().Unmap()
	d := Decision{Policy: flow.Policy{Action: flow.Bypass}}
	if p, s := t.find(c, server); p != nil {
		d.ID, d.Scope, d.Authority, d.Cases, d.Action = p.ID, s.ID, p.Authority, p.Cases, flow.Inspect
	}
	name := strings.TrimSuffix(strings.ToLower(c.Name), ".")
	if id := t.block.find(name, server); id != "" {
		d.Rule, d.Action = id, flow.Block
	} else if id := t.bypass.find(name, server); id != "" && d.Action == flow.Inspect {
		d.Rule, d.Action = id, flow.Bypass
	}
	return d
}

func (t *Table) find(c Conn, server netip.Addr) (*Policy, *Scope) {
	client := c.Client.Addr().Unmap()
	for i := range t.policies {
		p := &t.policies[i]
		for j := range p.Scopes {
			s := &p.Scopes[j]
			if hasPort(s.DestinationPorts, c.Server.Port()) && hasPort(s.SourcePorts, c.Client.Port()) && hasAddr(s.Destinations, server) && hasAddr(s.Sources, client) {
				return p, s
			}
		}
	}
	return nil, nil
}

func hasPort(list []Ports, port uint16) bool {
	return slices.ContainsFunc(list, func(p Ports) bool { return p.has(port) })
}

func hasAddr(list []Addresses, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p Addresses) bool { return p.Contains(a) })
}

// exceptions are rules, found by name and by address.
type exceptions struct {
	exact, below map[string]string // the ids of rules, by the name, and by what follows "*."
	addresses    []addressRule
}

type addressRule struct {
	Addresses
	id string
}

func compile(list []Exception) exceptions {
	e := exceptions{exact: map[string]string{}, below: map[string]string{}}
	for _, x := range list {
		for _, n := range x.Names {
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
			e.addresses = append(e.addresses, addressRule{a, x.ID})
		}
	}
	return e
}

// find returns the id of a rule that fits, or an empty string. The name decides before the address, the longer before the
// shorter.
func (e *exceptions) find(name string, server netip.Addr) string {
	if id := e.exact[name]; id != "" && name != "" {
		return id
	}
	for rest := name; rest != ""; {
		if _, rest, _ = strings.Cut(rest, "."); e.below[rest] != "" {
			return e.below[rest]
		}
	}
	for _, a := range e.addresses {
		if a.Contains(server) {
			return a.id
		}
	}
	return ""
}
