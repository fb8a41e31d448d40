package origin_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
)

func TestGuard(t *testing.T) {
	var g origin.Guard
	now := time.Now()
	for _, a := range []string{
		"127.0.0.1", "127.255.0.1", "::1", "0.0.0.0", "::", "0.1.2.3", "255.255.255.255", "224.0.0.1", "ff02::1",
		"169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%lo", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::127.0.0.1", "::169.254.169.254",
	} {
		if err := g.Check(netip.MustParseAddr(a), now); !errors.Is(err, origin.ErrGuarded) {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range []string{"192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1", "100.100.100.201", "64:ff9b::192.0.2.1", "::ffff:192.0.2.1"} {
		if err := g.Check(netip.MustParseAddr(a), now); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if err := g.Check(netip.Addr{}, now); err == nil {
		t.Error("no address is allowed")
	}
}

func TestGuardKnowsItsMachine(t *testing.T) {
	var g origin.Guard
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range own {
		p := netip.MustParsePrefix(n.String())
		if err := g.Check(p.Addr(), time.Now()); !errors.Is(err, origin.ErrGuarded) {
			t.Errorf("%s is of this machine: %v", p.Addr(), err)
		}
	}
}

func TestGuardExceptions(t *testing.T) {
	g := origin.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("fe80::/64")}}
	for a, allowed := range map[string]bool{"127.0.0.2": true, "::ffff:127.0.0.2": true, "127.0.0.1": false, "fe80::7%eth0": true, "fe80:1::7": false} {
		if err := g.Check(netip.MustParseAddr(a), time.Now()); (err == nil) != allowed {
			t.Errorf("%s: %v", a, err)
		}
	}
}
