// Package divert has the kernel hand connections to the gateway that are routed through this machine: transparently, by TPROXY.
// Scopes of addresses and ports go in; rules of nftables and policy routing come of them, all at once. It knows nothing of policies
// or TLS.
//
// Only the first packet of a connection is ever diverted, so connections that there are already stay as they are. Where nobody
// listens, no TCP connection is diverted: when the gateway dies, they go their way as if it had not been there. New QUIC
// connections are refused as before, until the rules are removed.
package divert

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	sockets "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Scope is a set of connections.
type Scope struct {
	Sources, Destinations         []netip.Prefix
	SourcePorts, DestinationPorts []Ports
	// RefuseQUIC has clients that begin a QUIC connection told at once that nobody listens, so that they fall back to TCP.
	RefuseQUIC bool
}

// Ports is a range of ports, both ends in it.
type Ports struct{ First, Last uint16 }

// Diverter is what the kernel knows of one gateway. Its methods need CAP_NET_ADMIN, and are not to be called at once.
type Diverter struct {
	port uint16 // where the gateway listens
}

// New returns a Diverter to the port, which has changed nothing yet.
func New(port uint16) *Diverter { return &Diverter{port: port} }

// What the kernel's rules are known by.
const (
	tableName    = "vitrine_gateway"
	mark         = 1 << 28 // of packets for the gateway; other bits are others'
	routingTable = 0x7674
	rulePriority = 0x7674
)

// Apply puts the scopes in force, in place of those before, in one step. Connections to the exempt addresses stay out of it.
func (d *Diverter) Apply(scopes []Scope, exempt []netip.Prefix) error {
	if err := d.route(netlink.FAMILY_V4); err != nil {
		return err
	}
	if slices.ContainsFunc(scopes, func(s Scope) bool { return slices.ContainsFunc(s.Destinations, is6) }) {
		if err := d.route(netlink.FAMILY_V6); err != nil {
			return err
		}
	}
	c, err := open()
	if err != nil {
		return err
	}
	if err := (&ruleset{conn: c, port: d.port, sets: map[[sha256.Size]byte]*nftables.Set{}}).replace(scopes, exempt); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("change nftables: %w", err)
	}
	return nil
}

// Remove takes everything out of the kernel, also what an earlier gateway left there.
func (d *Diverter) Remove() error {
	c, err := open()
	if err != nil {
		return err
	}
	t := c.AddTable(table()) // so that there is one to delete
	c.DelTable(t)
	errs := []error{c.Flush()}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rule, route, err := routing(family)
		if err == nil {
			err = errors.Join(missing(netlink.RuleDel(rule)), missing(netlink.RouteDel(route)))
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove the gateway's rules: %w", err)
	}
	return nil
}

// maxTransaction bounds in bytes what the kernel is told in one step, and what it answers: more than the largest rules take.
const maxTransaction = 256 << 20

// open returns a way to change nftables in one step, however many rules there are.
func open() (*nftables.Conn, error) {
	c, err := nftables.New(nftables.WithSockOptions(func(c *sockets.Conn) error {
		return errors.Join(c.SetWriteBuffer(maxTransaction), c.SetReadBuffer(maxTransaction))
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	return c, nil
}

func table() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
}

// route has marked packets delivered to this machine, whatever their destination is.
func (d *Diverter) route(family int) error {
	rule, route, err := routing(family)
	if err != nil {
		return err
	}
	if err := netlink.RuleAdd(rule); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("add routing rule: %w", err)
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("add route: %w", err)
	}
	return nil
}

func routing(family int) (*netlink.Rule, *netlink.Route, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, nil, fmt.Errorf("find loopback: %w", err)
	}
	mask, all := uint32(mark), netip.MustParsePrefix("0.0.0.0/0")
	if family == netlink.FAMILY_V6 {
		all = netip.MustParsePrefix("::/0")
	}
	rule := netlink.NewRule()
	rule.Family, rule.Mark, rule.Mask, rule.Table, rule.Priority = family, mark, &mask, routingTable, rulePriority
	return rule, &netlink.Route{
		LinkIndex: lo.Attrs().Index, Table: routingTable, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST,
		Dst: &net.IPNet{IP: all.Addr().AsSlice(), Mask: net.CIDRMask(0, all.Addr().BitLen())},
	}, nil
}

// missing takes what is not there for deleted, also where the kernel has no IPv6.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

func is6(p netip.Prefix) bool { return p.Addr().Is6() }
func is4(p netip.Prefix) bool { return p.Addr().Is4() }
