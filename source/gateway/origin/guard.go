// Package origin stands for the servers that clients want to reach: which of them the gateway may connect to, and what is wrong with
// the certificates that they show. Addresses and chains of certificates go in, judgements come out. It connects to nobody, and knows
// nothing of clients and policies.
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

	mu    sync.Mutex
	own   []netip.Addr // addresses of this machine
	since time.Time    // when they were read
}

// ownTime is how long the addresses of this machine are taken for known.
const ownTime = 10 * time.Second

// metadata are addresses of clouds' metadata services that are not link-local.
var metadata = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
}

// embedding are prefixes whose addresses carry an IPv4 address in their last 32 bits: NAT64 (RFC 6052) and mapped ones.
var embedding = []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("::ffff:0:0/96"), netip.MustParsePrefix("::/96")}

// Check returns ErrGuarded, with the address, unless it may be connected to.
func (g *Guard) Check(a netip.Addr, now time.Time) error {
	plain := a.WithZone("")
	if slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool { return p.Contains(plain) || p.Contains(plain.Unmap()) }) {
		return nil
	}
	if forbidden(plain) || forbidden(inner(plain)) || g.isOwn(plain.Unmap(), now) || g.isOwn(inner(plain), now) {
		return fmt.Errorf("connect to %s: %w", a, ErrGuarded)
	}
	return nil
}

// inner returns the IPv4 address that an IPv6 address carries, or the address itself.
func inner(a netip.Addr) netip.Addr {
	if a.Is6() && slices.ContainsFunc(embedding, func(p netip.Prefix) bool { return p.Contains(a) }) && !a.IsLoopback() {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

func forbidden(a netip.Addr) bool {
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsLoopback(), a.IsLinkLocalUnicast(), a.IsMulticast(), a.IsInterfaceLocalMulticast():
		return true
	case a.Is4() && (a.As4()[0] == 0 || a.As4() == [4]byte{255, 255, 255, 255}): // this network, and everybody on it
		return true
	}
	return slices.Contains(metadata, a)
}

// isOwn tells whether the address is of this machine. Where that cannot be found out, no address is.
func (g *Guard) isOwn(a netip.Addr, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.since) > ownTime {
		g.own, g.since = g.own[:0], now
		addrs, _ := net.InterfaceAddrs()
		for _, n := range addrs {
			if p, err := netip.ParsePrefix(n.String()); err == nil {
				g.own = append(g.own, p.Addr().Unmap())
			}
		}
	}
	return slices.Contains(g.own, a)
}
