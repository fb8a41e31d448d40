// Package origin stands for the servers that clients want to reach: which of them the gateway may connect to, and what is wrong with
// the certificates that they show. Addresses and chains of certificates go in, judgements come out. It connects to nobody but where
// certificates say that more about them is to be had, and knows nothing of clients and policies.
package origin

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// ErrGuarded is what Guard.Check returns for an address that the gateway must not connect to.
var ErrGuarded = errors.New("the gateway connects to no address of this machine, of the link, or of cloud metadata")

// Guard keeps clients from reaching through the gateway what they could not reach without it: the gateway's own machine, and services
// that trust who is near. It is safe for concurrent use; the zero value guards all.
type Guard struct {
	// Allow are exceptions. It must not change.
	Allow []netip.Prefix
	// Never are what no exception is about: where the gateway itself listens, and whatever else serves its administrators. The unspecified
	// address stands for all of this machine. It must not change.
	Never []netip.AddrPort

	mu    sync.Mutex
	own   []netip.Addr // addresses of this machine; never changed in place
	since time.Time    // when they were read
}

// ownTime is how long the addresses of this machine are taken for known.
const ownTime = 10 * time.Second

// metadata are where clouds have their metadata services, besides link-local addresses.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle Cloud
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS, with its other services for machines
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google Cloud
}

// carriers are prefixes whose addresses carry an IPv4 address, with the numbers of the bytes that it may be in.
var carriers = []struct {
	netip.Prefix
	places [][4]int
}{
	{netip.MustParsePrefix("::/96"), [][4]int{last}},             // compatible (RFC 4291)
	{netip.MustParsePrefix("::ffff:0:0/96"), [][4]int{last}},     // mapped
	{netip.MustParsePrefix("64:ff9b::/96"), [][4]int{last}},      // NAT64 (RFC 6052)
	{netip.MustParsePrefix("2002::/16"), [][4]int{{2, 3, 4, 5}}}, // 6to4 (RFC 3056)
	// NAT64 in ways that only the network itself knows (RFC 8215): with prefixes of 96, 64, 56 or 48 bits
	{netip.MustParsePrefix("64:ff9b:1::/48"), [][4]int{last, {9, 10, 11, 12}, {7, 9, 10, 11}, {6, 7, 9, 10}}},
}

var last = [4]int{12, 13, 14, 15}

// Check returns ErrGuarded, with the address, unless it may be connected to.
func (g *Guard) Check(server netip.AddrPort, now time.Time) error {
	a := server.Addr()
	plain := a.WithZone("")
	if slices.ContainsFunc(g.Never, func(n netip.AddrPort) bool { return n.Port() == server.Port() }) {
		if err := g.apart(server, now); err != nil {
			return err
		}
	}
	if g.allows(plain) {
		return nil
	}
	own, err := g.addresses(now)
	if err != nil {
		return fmt.Errorf("connect to %s: find out whether it is of this machine: %w", a, err)
	}
	for _, meant := range append(carried(plain), plain) {
		if forbidden(meant) || slices.Contains(own, meant) {
			return fmt.Errorf("connect to %s: %w", a, ErrGuarded)
		}
	}
	return nil
}

// apart returns ErrGuarded if a connection to the server would reach one of Never.
func (g *Guard) apart(server netip.AddrPort, now time.Time) error {
	own, err := g.addresses(now)
	if err != nil {
		return fmt.Errorf("connect to %s: find out whether it is of this machine: %w", server, err)
	}
	plain := server.Addr().WithZone("")
	for _, meant := range append(carried(plain), plain) {
		here := meant.IsLoopback() || meant.IsUnspecified() || slices.Contains(own, meant)
		for _, n := range g.Never {
			if n.Port() == server.Port() && (n.Addr().Unmap() == meant || n.Addr().IsUnspecified() && here) {
				return fmt.Errorf("connect to %s: %w", server, ErrGuarded)
			}
		}
	}
	return nil
}

// checkPublic is Check for what strangers have the gateway connect to: no address of a private network either.
func (g *Guard) checkPublic(server netip.AddrPort, now time.Time) error {
	plain := server.Addr().WithZone("")
	private := slices.ContainsFunc(append(carried(plain), plain), netip.Addr.IsPrivate)
	if private && !g.allows(plain) {
		return fmt.Errorf("connect to %s: %w", server, ErrGuarded)
	}
	return g.Check(server, now)
}

// allows tells whether the address is an exception.
func (g *Guard) allows(plain netip.Addr) bool {
	return slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool { return p.Contains(plain) || p.Contains(plain.Unmap()) })
}

// carried returns the IPv4 addresses that an IPv6 address may carry. Where there are several places for it, one that begins with 0 is
// none: that much of a place is as a rule behind or before the address.
func carried(a netip.Addr) []netip.Addr {
	var found []netip.Addr
	for _, c := range carriers {
		if !c.Contains(a) {
			continue
		}
		b := a.As16()
		for _, p := range c.places {
			if len(c.places) == 1 || b[p[0]] != 0 {
				found = append(found, netip.AddrFrom4([4]byte{b[p[0]], b[p[1]], b[p[2]], b[p[3]]}))
			}
		}
	}
	return found
}

func forbidden(a netip.Addr) bool {
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsLoopback(), a.IsLinkLocalUnicast(), a.IsMulticast(), a.IsInterfaceLocalMulticast():
		return true
	case a.Is4() && (a.As4()[0] == 0 || a.As4() == [4]byte{255, 255, 255, 255}): // this network, and everybody on it
		return true
	}
	return slices.ContainsFunc(metadata, func(p netip.Prefix) bool { return p.Contains(a) })
}

// addresses returns those of this machine. While they cannot be read, the ones that were read last count.
func (g *Guard) addresses(now time.Time) ([]netip.Addr, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.own != nil && now.Sub(g.since) <= ownTime {
		return g.own, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		if g.own == nil {
			return nil, err
		}
		return g.own, nil
	}
	own := make([]netip.Addr, 0, len(addrs))
	for _, n := range addrs {
		if p, err := netip.ParsePrefix(n.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	g.own, g.since = own, now
	return own, nil
}
