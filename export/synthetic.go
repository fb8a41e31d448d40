package export

import (
	"encoding/binary"
	"net/netip"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Flags of a TCP header (RFC 9293 §3.1).
const (
	tcpFin = 1 << iota
	tcpSyn
	_ // RST
	tcpPush
	tcpAck
)

const (
	ipv4Header = 20
	tcpHeader  = 20
	udpHeader  = 8
	hopLimit   = 64
	window     = 65535
	maxUDP     = 65535 - ipv4Header - udpHeader // what one IPv4 packet holds
)

// ends are the addresses of a packet.
type ends struct{ from, to flow.Endpoint }

// endsOf returns the addresses of packets in both directions. A source that does not know an address leaves it invalid:
// it becomes the unspecified one of the other's family.
func endsOf(t flow.Tuple) [2]ends {
	c, s := t.Client, t.Server
	c.IP, s.IP = c.IP.Unmap(), s.IP.Unmap()
	if !c.IP.IsValid() || !s.IP.IsValid() || c.IP.Is4() != s.IP.Is4() {
		none := netip.IPv4Unspecified()
		if c.IP.Is6() || s.IP.Is6() {
			none = netip.IPv6Unspecified()
		}
		for _, ip := range []*netip.Addr{&c.IP, &s.IP} {
			if ip.Is4() != none.Is4() || !ip.IsValid() {
				*ip = none
			}
		}
	}
	return [2]ends{flow.ToServer: {c, s}, flow.ToClient: {s, c}}
}

// appendTCP appends an IP packet with a TCP segment.
func appendTCP(b []byte, e ends, seq, ack uint32, flags byte, data []byte) []byte {
	b = appendIP(b, e, flow.TCP, tcpHeader+len(data))
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, e.from.Port)
	b = binary.BigEndian.AppendUint16(b, e.to.Port)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ack)
	b = append(b, tcpHeader/4<<4, flags)
	b = binary.BigEndian.AppendUint16(b, window)
	b = append(b, 0, 0, 0, 0) // checksum, urgent pointer
	b = append(b, data...)
	sum := checksum(b[start:], pseudo(e, flow.TCP, tcpHeader+len(data)))
	binary.BigEndian.PutUint16(b[start+16:], sum)
	return b
}

// appendUDP appends an IP packet with a datagram of at most maxUDP bytes.
func appendUDP(b []byte, e ends, data []byte) []byte {
	n := udpHeader + len(data)
	b = appendIP(b, e, flow.UDP, n)
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, e.from.Port)
	b = binary.BigEndian.AppendUint16(b, e.to.Port)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = append(b, 0, 0)
	b = append(b, data...)
	sum := checksum(b[start:], pseudo(e, flow.UDP, n))
	if sum == 0 {
		sum = 0xffff // 0 would mean that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(b[start+6:], sum)
	return b
}

// appendIP appends the header of an IP packet with n bytes of payload.
func appendIP(b []byte, e ends, proto flow.Proto, n int) []byte {
	if e.from.IP.Is6() {
		b = append(b, 6<<4, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
		b = append(b, byte(proto), hopLimit)
		b = append(b, e.from.IP.AsSlice()...)
		return append(b, e.to.IP.AsSlice()...)
	}
	start := len(b)
	b = append(b, 4<<4|ipv4Header/4, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4Header+n))
	b = append(b, 0, 0, 0x40, 0) // no identification is needed: don't fragment
	b = append(b, hopLimit, byte(proto), 0, 0)
	b = append(b, e.from.IP.AsSlice()...)
	b = append(b, e.to.IP.AsSlice()...)
	binary.BigEndian.PutUint16(b[start+10:], checksum(b[start:], 0))
	return b
}

// pseudo returns the sum of the pseudo header that a transport checksum covers (RFC 9293 §3.1, RFC 8200 §8.1).
func pseudo(e ends, proto flow.Proto, n int) uint64 {
	sum := uint64(proto) + uint64(n)
	for _, ip := range []netip.Addr{e.from.IP, e.to.IP} {
		b := ip.As16()
		if ip.Is4() {
			b[10], b[11] = 0, 0 // As16 has given it the form ::ffff:a.b.c.d
		}
		sum += add(b[:])
	}
	return sum
}

// checksum returns the Internet checksum (RFC 1071) of b, on top of a sum.
func checksum(b []byte, sum uint64) uint16 {
	sum += add(b)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// add sums up b. It takes four bytes at a time, which gives the same in the end: 1<<16 is 1 modulo 0xffff. A packet is
// too short for 64 bits to overflow.
func add(b []byte) (sum uint64) {
	for ; len(b) >= 8; b = b[8:] {
		n := binary.BigEndian.Uint64(b)
		sum += n>>32 + n&0xffffffff
	}
	for ; len(b) >= 2; b = b[2:] {
		sum += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}
