package capture

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func TestLiveLoopbackOnce(t *testing.T) {
	_, server := testkit.VethPair(t)
	const at = "127.0.0.1:9"
	listen(t, server, at)
	for _, name := range []string{"lo", AnyInterface} {
		l := open(t, server, LiveConfig{Interface: name})
		c := dial(t, server, at)
		send(t, c, 10, 100)
		if _, err := c.Write([]byte(mark + "last")); err != nil {
			t.Fatal(err)
		}
		if last := marked(t, l, 11)[10]; !bytes.HasSuffix(last.Data, []byte("last")) {
			t.Errorf("%s: packets are seen more than once", name)
		}
	}
}

// inject sends a frame as it is.
func inject(t testing.TB, ns *testkit.Namespace, frame []byte) {
	t.Helper()
	var err error
	ns.Do(t, func() {
		var l link
		var fd int
		if l, fd, err = openSocket("veth0"); err != nil {
			return
		}
		defer unix.Close(fd)
		err = unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.index})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLiveRestoresTags(t *testing.T) {
	const (
		server1 = "\x02\x00\x00\x00\x00\x01"
		client1 = "\x02\x00\x00\x00\x00\x02"
		inner   = "\x08\x00" + "E and so on: " + mark
	)
	for _, tc := range []struct{ name, tags, cooked string }{
		{"one tag", "\x81\x00\xe0\x07", "\x81\x00\xe0\x07"},
		{"service tag", "\x88\xa8\x00\x09", "\x88\xa8\x00\x09"},
		{"none", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client, server := testkit.VethPair(t)
			plain := open(t, server, LiveConfig{Interface: "veth0"})
			cooked := open(t, server, LiveConfig{Interface: AnyInterface})
			frame := server1 + client1 + tc.tags + inner
			inject(t, client, []byte(frame))
			for _, got := range []struct {
				packet Packet
				link   LinkType
				want   string
			}{
				{marked(t, plain, 1)[0], Ethernet, frame},
				// For another host, from Ethernet, 6 bytes of address.
				{marked(t, cooked, 1)[0], LinuxCooked, "\x00\x03\x00\x01\x00\x06" + client1 + "\x00\x00" + tc.cooked + inner},
			} {
				p := got.packet
				if p.Link != got.link || p.Length != len(got.want) || p.Interface != "veth0" || string(p.Data) != got.want {
					t.Errorf("link %d, %d bytes on %s:\n%q, want\n%q", p.Link, p.Length, p.Interface, p.Data, got.want)
				}
			}
		})
	}
}

// TestLiveRestoresOuterTag has no counterpart behind "any": for two tags the kernel tells the type that follows the inner
// tag, and leaves half of the inner tag in the packet.
func TestLiveRestoresOuterTag(t *testing.T) {
	client, server := testkit.VethPair(t)
	l := open(t, server, LiveConfig{Interface: "veth0"})
	frame := strings.Repeat("\x02", 12) + "\x88\xa8\x00\x09\x81\x00\x00\x07\x08\x00E" + mark
	inject(t, client, []byte(frame))
	if p := marked(t, l, 1)[0]; string(p.Data) != frame {
		t.Errorf("got\n%q, want\n%q", p.Data, frame)
	}
}

// tunnel makes an interface without a link layer in the namespace.
func tunnel(t testing.TB, ns *testkit.Namespace, name, address string) {
	t.Helper()
	var fd int
	var err error
	ns.Do(t, func() {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		var r *unix.Ifreq
		if r, err = unix.NewIfreq(name); err == nil {
			r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
		}
	})
	if err != nil {
		testkit.SkipIfNotSupported(t, err)
		if errors.Is(err, os.ErrNotExist) {
			testkit.Skip(t, "no tunnels here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	ip(t, "-n", ns.Name, "addr", "add", address, "dev", name)
	ip(t, "-n", ns.Name, "link", "set", name, "up")
}

func TestLiveRawIP(t *testing.T) {
	_, server := testkit.VethPair(t)
	tunnel(t, server, "tun0", "198.19.0.1/24")
	raw := open(t, server, LiveConfig{Interface: "tun0"})
	cooked := open(t, server, LiveConfig{Interface: AnyInterface})
	send(t, dial(t, server, "198.19.0.2:9"), 1, 100)
	p := marked(t, raw, 1)[0]
	if p.Link != RawIP || p.Data[0] != 0x45 || p.Length != 20+8+100 || len(p.Data) != p.Length {
		t.Errorf("link %d, %d of %d bytes: % x", p.Link, len(p.Data), p.Length, p.Data[:20])
	}
	// Outgoing, no link layer, no address, IPv4.
	p = marked(t, cooked, 1)[0]
	if want := "\x00\x04\xff\xfe\x00\x00" + strings.Repeat("\x00", 8) + "\x08\x00\x45"; p.Interface != "tun0" || string(p.Data[:17]) != want {
		t.Errorf("on %s: % x, want % x", p.Interface, p.Data[:17], want)
	}
}

func TestLinkType(t *testing.T) {
	for _, tc := range []struct {
		hardware uint16
		want     LinkType
	}{
		{unix.ARPHRD_ETHER, Ethernet}, {unix.ARPHRD_LOOPBACK, Ethernet}, {unix.ARPHRD_NONE, RawIP},
		{unix.ARPHRD_SIT, RawIP}, {unix.ARPHRD_IPGRE, LinuxCooked}, {unix.ARPHRD_PPP, LinuxCooked},
	} {
		if got, cooked := linkType(tc.hardware); got != tc.want || cooked != (got == LinuxCooked) {
			t.Errorf("hardware %d: link type %d, cooked %v", tc.hardware, got, cooked)
		}
	}
}
