package assembly

import (
	"net/netip"

	"github.com/vitrine-ndr/vitrine/source/gateway/divert"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// divert has the kernel hand over what the rules are about. What is bypassed by its address alone never comes, unless a name could still block it.
func (a *Assembly) divert(rules policy.Rules) error {
	var scopes []divert.Scope
	for _, p := range rules.Policies {
		for _, s := range p.Scopes {
			s = s.Complete()
			scope := divert.Scope{Sources: prefixes(s.Sources), Destinations: prefixes(s.Destinations), SourcePorts: ports(s.SourcePorts), DestinationPorts: ports(s.DestinationPorts), RefuseQUIC: !s.AllowQUIC}
			if !p.Disabled {
				scopes = append(scopes, scope)
			}
		}
	}
	var exempt []netip.Prefix
	for _, e := range rules.Bypass {
		if len(rules.Block) == 0 {
			exempt = append(exempt, prefixes(e.Addresses)...)
		}
	}
	return a.diverter.Apply(scopes, exempt)
}

func prefixes(list []policy.Addresses) (out []netip.Prefix) {
	for _, a := range list {
		out = append(out, a.Prefix)
	}
	return out
}

func ports(list []policy.Ports) (out []divert.Ports) {
	for _, p := range list {
		out = append(out, divert.Ports(p))
	}
	return out
}
