package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// link is an interface as a packet socket sees it.
type link struct {
	name   string
	index  int // 0: all of them
	kind   LinkType
	cooked bool // the kernel takes the link header away, and we put a cooked one there
}

// reserve is the room that is needed before each packet for what we put back.
func (l link) reserve() int {
	if l.cooked {
		return cookedLength + tagLength
	}
	return tagLength
}

// openSocket opens a packet socket that gets nothing yet, and looks the interface up in its network namespace.
func openSocket(name string) (link, int, error) {
	fd, err := packetSocket(unix.SOCK_RAW)
	if err != nil {
		return link{}, -1, err
	}
	l, err := lookUp(fd, name)
	if err == nil && l.cooked {
		_ = unix.Close(fd)
		fd, err = packetSocket(unix.SOCK_DGRAM)
		return l, fd, err
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return l, fd, err
}

func packetSocket(kind int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return -1, fmt.Errorf("open packet socket: %w: it needs CAP_NET_RAW: run as root, or give it to the program with setcap cap_net_raw+ep", err)
	case err != nil:
		return -1, fmt.Errorf("open packet socket: %w", err)
	}
	return fd, nil
}

// lookUp finds out what the interface is.
func lookUp(fd int, name string) (link, error) {
	if name == AnyInterface {
		return link{name: name, kind: LinuxCooked, cooked: true}, nil
	}
	ask := func(request uint) (*unix.Ifreq, error) {
		r, err := unix.NewIfreq(name)
		if err != nil {
			return nil, unix.ENODEV // the name is too long to be one
		}
		return r, unix.IoctlIfreq(fd, request, r)
	}
	index, err := ask(unix.SIOCGIFINDEX)
	if errors.Is(err, unix.ENODEV) {
		return link{}, fmt.Errorf("no interface has this name: there are %s and %s", AnyInterface, strings.Join(interfaces(), ", "))
	} else if err != nil {
		return link{}, fmt.Errorf("look up its index: %w", err)
	}
	flags, err := ask(unix.SIOCGIFFLAGS)
	if err != nil {
		return link{}, fmt.Errorf("look up its flags: %w", err)
	}
	if flags.Uint16()&unix.IFF_UP == 0 {
		return link{}, fmt.Errorf("%w: bring it up with ip link set %s up", ErrDown, name)
	}
	hardware, err := ask(unix.SIOCGIFHWADDR)
	if err != nil {
		return link{}, fmt.Errorf("look up its kind: %w", err)
	}
	kind, cooked := linkType(hardware.Uint16())
	return link{name: name, index: int(index.Uint32()), kind: kind, cooked: cooked}, nil
}

// interfaces returns the names of all interfaces.
func interfaces() []string {
	all, err := net.Interfaces()
	if err != nil {
		return []string{"others that cannot be listed: " + err.Error()}
	}
	names := make([]string, len(all))
	for i, n := range all {
		names[i] = n.Name
	}
	return names
}

// interfaceName returns the name of the interface with the index, or nothing where it is gone.
func interfaceName(fd int, index int32) string {
	r, err := unix.NewIfreq("")
	if err != nil {
		return ""
	}
	r.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFNAME, r); err != nil {
		return ""
	}
	return r.Name()
}

// linkType says what the packets of a kind of hardware (ARPHRD_ of linux/if_arp.h) begin with. What is neither Ethernet
// nor IP itself is cooked.
func linkType(hardware uint16) (kind LinkType, cooked bool) {
	switch hardware {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return Ethernet, false
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT:
		return RawIP, false
	}
	return LinuxCooked, true
}

// attach lets packets in: the filter first, so that none comes past it.
func (l link) attach(fd int, c LiveConfig) error {
	program := filter(c.SnapLength)
	f := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &f); err != nil {
		return fmt.Errorf("attach filter: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swap(unix.ETH_P_ALL), Ifindex: l.index}); err != nil {
		return fmt.Errorf("bind packet socket: %w", err)
	}
	if c.Promiscuous && l.index != 0 {
		m := unix.PacketMreq{Ifindex: int32(l.index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &m); err != nil {
			return fmt.Errorf("set promiscuous mode: %w", err)
		}
	}
	if c.FanoutGroup != 0 {
		// Fragments are put together first, since only the first one tells the ports that the hash needs.
		const mode = unix.PACKET_FANOUT_HASH | unix.PACKET_FANOUT_FLAG_DEFRAG
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, int(c.FanoutGroup)|mode<<16); err != nil {
			return fmt.Errorf("join fanout group %d: %w", c.FanoutGroup, err)
		}
	}
	return nil
}

// filter is a classic BPF program. It cuts packets at the snap length, and drops the outgoing ones of loopback
// interfaces: each of them comes in as well.
func filter(snap int) []unix.SockFilter {
	const (
		ancillary = 0xfffff000                  // SKF_AD_OFF: what lies beyond is about the packet
		packType  = ancillary + 4               // SKF_AD_PKTTYPE
		hardware  = ancillary + 28              // SKF_AD_HATYPE
		load      = unix.BPF_LD | unix.BPF_ABS  //
		equal     = unix.BPF_JMP | unix.BPF_JEQ //
		result    = unix.BPF_RET | unix.BPF_K
	)
	return []unix.SockFilter{
		{Code: load | unix.BPF_B, K: packType},
		{Code: equal, K: unix.PACKET_OUTGOING, Jf: 3},
		{Code: load | unix.BPF_H, K: hardware},
		{Code: equal, K: unix.ARPHRD_LOOPBACK, Jf: 1},
		{Code: result, K: 0},
		{Code: result, K: uint32(snap)},
	}
}

// swap turns a number from host to network byte order, and back.
func swap(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}
