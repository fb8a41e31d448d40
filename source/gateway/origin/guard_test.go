package origin_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
)

func TestGuard(t *testing.T) {
	var g origin.Guard
	now := time.Now()
	for _, a := range []string{
		"127.0.0.1", "127.255.0.1", "::1", "0.0.0.0", "::", "0.1.2.3", "255.255.255.255", "224.0.0.1", "ff02::1",
		"169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%lo", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::127.0.0.1", "::169.254.169.254", "::ffff:168.63.129.16",
		"2002:a9fe:a9fe::1", "2002:7f00:1::", "2002:a83f:8110::7",
		"64:ff9b:1::169.254.169.254", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a9:fe:a9fe::", "64:ff9b:1:0:a9:fea9:fe00:0", "64:ff9b:1:7:7:7:7f00:1",
	} {
		if err := g.Check(netip.AddrPortFrom(netip.MustParseAddr(a), 443), now); !errors.Is(err, origin.ErrGuarded) {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range []string{"192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1", "100.100.100.201", "64:ff9b::192.0.2.1", "::ffff:192.0.2.1",
		"fd20:ce::253", "2002:c000:201::1", "64:ff9b:1::192.0.2.1", "64:ff9b:1:c000:2:100::", "64:ff9b:2::7f00:1"} {
		if err := g.Check(netip.AddrPortFrom(netip.MustParseAddr(a), 443), now); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if err := g.Check(netip.AddrPort{}, now); err == nil {
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
		if err := g.Check(netip.AddrPortFrom(p.Addr(), 443), time.Now()); !errors.Is(err, origin.ErrGuarded) {
			t.Errorf("%s is of this machine: %v", p.Addr(), err)
		}
	}
}

// TestGuardWithoutAddresses has the machine run out of files, and so unable to list its addresses: they stay guarded.
func TestGuardWithoutAddresses(t *testing.T) {
	own := ownAddress(t)
	elsewhere, now := netip.MustParseAddrPort("192.0.2.1:443"), time.Now()
	var fresh, old origin.Guard
	if err := old.Check(elsewhere, now); err != nil {
		t.Fatal(err)
	}
	withoutFiles(t)
	if err := fresh.Check(elsewhere, now); err == nil || errors.Is(err, origin.ErrGuarded) {
		t.Errorf("a guard that knows no addresses says %v", err)
	}
	now = now.Add(time.Hour)
	if err := old.Check(netip.AddrPortFrom(own, 443), now); !errors.Is(err, origin.ErrGuarded) {
		t.Errorf("%s is of this machine: %v", own, err)
	}
	if err := old.Check(elsewhere, now); err != nil {
		t.Error(err)
	}
}

// ownAddress is one of this machine that is guarded for nothing else.
func ownAddress(t *testing.T) netip.Addr {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range addrs {
		if a := netip.MustParsePrefix(n.String()).Addr(); a.IsGlobalUnicast() {
			return a
		}
	}
	testkit.Skip(t, "this machine has no address but loopback")
	return netip.Addr{}
}

// withoutFiles lets the process open no file until the test ends.
func withoutFiles(t *testing.T) {
	t.Helper()
	var usual unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Max: usual.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &usual); err != nil {
			t.Error(err)
		}
	})
}

func TestGuardExceptions(t *testing.T) {
	g := origin.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("fe80::/64")}}
	for a, allowed := range map[string]bool{"127.0.0.2": true, "::ffff:127.0.0.2": true, "127.0.0.1": false, "fe80::7%eth0": true, "fe80:1::7": false} {
		if err := g.Check(netip.AddrPortFrom(netip.MustParseAddr(a), 443), time.Now()); (err == nil) != allowed {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestGuardKeepsListeners(t *testing.T) {
	own := ownAddress(t)
	g := origin.Guard{
		Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
		Never: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:3128"), netip.MustParseAddrPort("[::]:15443")},
	}
	for address, allowed := range map[string]bool{
		"127.0.0.1:3128": false, "[::ffff:127.0.0.1]:3128": false, "[64:ff9b::127.0.0.1]:3128": false, "127.0.0.2:3128": true, "127.0.0.1:3129": true,
		"127.0.0.9:15443": false, "[::1]:15443": false, netip.AddrPortFrom(own, 15443).String(): false, "192.0.2.1:15443": true, "192.0.2.1:3128": true,
	} {
		if err := g.Check(netip.MustParseAddrPort(address), time.Now()); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
}
