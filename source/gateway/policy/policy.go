// Package policy decides what the gateway does with a connection: inspect, bypass or block. What people write comes in as data
// and is checked, with the arithmetic of its quota; a Table that answers for one connection after another goes out. It is pure: no
// I/O, no clock, no knowledge of how connections are made.
package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Rules are all that people decide. Their order counts: the first policy, and in it the first scope, that a connection fits is
// its own; a block rule stands above a bypass rule.
type Rules struct {
	Policies []Policy    `yaml:"policies"`
	Block    []Exception `yaml:"block"`
	Bypass   []Exception `yaml:"bypass"`
}

// Policy says which connections are inspected, with which authority, and what is done where that cannot be.
type Policy struct {
	ID          string  `yaml:"id" json:"id" doc:"id of the policy, in every event"`
	Name        string  `yaml:"name" json:"name,omitempty"`
	Description string  `yaml:"description" json:"description,omitempty"`
	Authority   string  `yaml:"authority" json:"authority,omitempty" doc:"name of the authority that signs; the first if empty"`
	Disabled    bool    `yaml:"disabled" json:"disabled,omitempty"`
	Scopes      []Scope `yaml:"scopes" json:"scopes,omitempty"`
	Cases       Cases   `yaml:"cases" json:"cases,omitempty"`
}

// Scope is a set of connections: all that come from one of the sources and go to one of the destinations.
type Scope struct {
	ID               string      `yaml:"id" json:"id" doc:"id of the scope, in every event"`
	Description      string      `yaml:"description" json:"description,omitempty"`
	Sources          []Addresses `yaml:"sources" json:"sources,omitempty" doc:"addresses or CIDRs that connections come from"`
	SourcePorts      []Ports     `yaml:"source_ports" json:"source_ports,omitempty" doc:"0/65535 if empty"`
	Destinations     []Addresses `yaml:"destinations" json:"destinations,omitempty" doc:"addresses or CIDRs that connections go to"`
	DestinationPorts []Ports     `yaml:"destination_ports" json:"destination_ports,omitempty" doc:"443/443 if empty"`
	AllowQUIC        bool        `yaml:"allow_quic" json:"allow_quic,omitempty" doc:"let QUIC pass unseen in transparent mode; else clients are told at once that nobody listens, and fall back to TCP"`
}

// Exception is a rule that takes connections out of inspection, by the name that the client asks for, alone or with others of its kind of
// service, or by address.
type Exception struct {
	ID        string      `yaml:"id" json:"id" doc:"id of the rule, in every event that it decides"`
	Names     []string    `yaml:"names" json:"names,omitempty" doc:"example.com for the name alone, *.example.com for all names below it"`
	Addresses []Addresses `yaml:"addresses" json:"addresses,omitempty" doc:"addresses or CIDRs of servers"`
	// Categories stand for the names in rules/categories.
	Categories []string `yaml:"categories" json:"categories,omitempty" doc:"ids of shipped lists of names, such as banking"`
	Reason     string   `yaml:"reason" json:"reason,omitempty" doc:"why, for people"`
}

// Cases say what becomes of a connection in a scope that cannot be inspected as it should. Empty is the default.
type Cases struct {
	BadCertificate    Choice `yaml:"bad_certificate" json:"bad_certificate,omitempty" doc:"the origin's certificate is bad: mirror its fault to the client (default), or block"`
	ClientCertificate Choice `yaml:"client_certificate" json:"client_certificate,omitempty" doc:"the origin asks for a client certificate: bypass (default) or block"`
	Unsupported       Choice `yaml:"unsupported" json:"unsupported,omitempty" doc:"client and origin agree on nothing that can be inspected: bypass (default) or block"`
	NoName            Choice `yaml:"no_name" json:"no_name,omitempty" doc:"the client names no server: inspect (default), bypass or block"`
	Pinned            Choice `yaml:"pinned" json:"pinned,omitempty" doc:"the client accepts no certificate but the origin's own: bypass (default), inspect in vain, or block"`
	NotTLS            Choice `yaml:"not_tls" json:"not_tls,omitempty" doc:"the connection is not TLS: inspect it as it is (default), bypass or block"`
	OverCapacity      Choice `yaml:"over_capacity" json:"over_capacity,omitempty" doc:"as many connections as may be are inspected already: bypass (default) or block"`
}

// Choice is what is done in a case.
type Choice string

const (
	ByDefault Choice = ""
	Mirror    Choice = "mirror"
	Inspect   Choice = "inspect"
	Bypass    Choice = "bypass"
	Block     Choice = "block"
)

// Addresses is an address or a CIDR.
type Addresses struct{ netip.Prefix }

// UnmarshalText reads 192.0.2.7 or 192.0.2.0/24, and the same of IPv6.
func (a *Addresses) UnmarshalText(text []byte) error {
	s := string(text)
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" || addr.Is4In6() {
			return fmt.Errorf("%q is no address and no CIDR, such as 192.0.2.7 or 2001:db8::/32", s)
		}
		a.Prefix = netip.PrefixFrom(addr, addr.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return fmt.Errorf("%q is no address and no CIDR, such as 192.0.2.7 or 2001:db8::/32", s)
	}
	if p != p.Masked() {
		return fmt.Errorf("%q has bits set behind its prefix: write %s, or the address without /", s, p.Masked())
	}
	a.Prefix = p
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (a Addresses) MarshalText() ([]byte, error) {
	if a.IsSingleIP() {
		return []byte(a.Addr().String()), nil
	}
	return []byte(a.String()), nil
}

// Ports is a range of ports, both ends in it.
type Ports struct{ First, Last uint16 }

// AnyPort is 0/65535.
var AnyPort = Ports{0, 65535}

// UnmarshalText reads first/last: 0/65535 is all, 8080/8080 is one.
func (p *Ports) UnmarshalText(text []byte) error {
	first, last, ok := strings.Cut(string(text), "/")
	a, errA := strconv.ParseUint(first, 10, 16)
	b, errB := strconv.ParseUint(last, 10, 16)
	if !ok || errA != nil || errB != nil || a > b {
		return fmt.Errorf("%q is no range of ports: write first/last, such as 8080/8080 or 0/65535", text)
	}
	*p = Ports{uint16(a), uint16(b)}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (p Ports) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%d/%d", p.First, p.Last), nil }

func (p Ports) has(port uint16) bool { return p.First <= port && port <= p.Last }
