package reassembly

import (
	"encoding/binary"
	"net/netip"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
)

// segment is one TCP segment or UDP datagram, its bytes still in the packet.
type segment struct {
	key     key
	proto   flow.Proto
	fromLow bool // sent by key's first endpoint
	seq     uint32
	ack     uint32
	flags   uint8 // of TCP; valid iff proto is TCP
	payload []byte
	missing int // bytes behind payload that the capture cut off
}

const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	_
	flagACK
)

// key names a conversation regardless of direction: the lower endpoint comes first. IPv4 is mapped into IPv6.
type key struct {
	ip    [2][16]byte
	port  [2]uint16
	proto flow.Proto
}

func (k *key) endpoint(i int) flow.Endpoint {
	return flow.Endpoint{IP: netip.AddrFrom16(k.ip[i]).Unmap(), Port: k.port[i]}
}

// drop says why a packet gave no segment.
type drop uint8

const (
	dropNone      drop = iota
	dropLink           // a link type that is not known
	dropNotIP          // ARP and the like
	dropFragment       // a part of an IP datagram
	dropTransport      // neither TCP nor UDP
	dropMalformed      // lengths that contradict each other
	drops
)

func (d drop) String() string {
	return [...]string{"none", "link_type", "not_ip", "fragment", "transport", "malformed", ""}[d]
}

const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	// maxTags is how many VLAN tags may stand before the IP header: one for each of customer, provider and mirror.
	maxTags = 3
)

// decode reads the headers of p into s. It keeps no state and allocates nothing.
func decode(p *capture.Packet, s *segment) drop {
	b := p.Data
	switch p.Link {
	case capture.Ethernet:
		return decodeEther(b, 12, s)
	case capture.LinuxCooked:
		return decodeEther(b, 14, s)
	case capture.LinuxSLL2:
		if len(b) < 20 {
			return dropMalformed
		}
		return decodeType(binary.BigEndian.Uint16(b), b[20:], s)
	case capture.Null, capture.Loop: // the address family differs between systems, the version nibble does not
		if len(b) < 4 {
			return dropMalformed
		}
		return decodeIP(b[4:], s)
	case capture.RawIP, capture.IPv4, capture.IPv6:
		return decodeIP(b, s)
	}
	return dropLink
}

// decodeEther reads the EtherType at the offset, skips VLAN tags and goes on with what follows.
func decodeEther(b []byte, offset int, s *segment) drop {
	for range maxTags + 1 {
		if len(b) < offset+2 {
			return dropMalformed
		}
		t := binary.BigEndian.Uint16(b[offset:])
		if t != etherVLAN && t != etherQinQ {
			return decodeType(t, b[offset+2:], s)
		}
		offset += 4
	}
	return dropNotIP
}

func decodeType(t uint16, b []byte, s *segment) drop {
	if t != etherIPv4 && t != etherIPv6 {
		return dropNotIP
	}
	return decodeIP(b, s)
}

func decodeIP(b []byte, s *segment) drop {
	if len(b) == 0 {
		return dropMalformed
	}
	switch b[0] >> 4 {
	case 4:
		return decodeIPv4(b, s)
	case 6:
		return decodeIPv6(b, s)
	}
	return dropNotIP
}

// decodeIPv4 reads RFC 791. A total length of zero is what segmentation offload leaves in captures of large packets.
func decodeIPv4(b []byte, s *segment) drop {
	if len(b) < 20 {
		return dropMalformed
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = len(b)
	}
	if header < 20 || header > len(b) || total < header {
		return dropMalformed
	}
	if binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
		return dropFragment
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])).As16(), netip.AddrFrom4([4]byte(b[16:20])).As16()
	return decodeTransport(flow.Proto(b[9]), src, dst, b[header:min(total, len(b))], total-header, s)
}

// decodeIPv6 reads RFC 8200 and skips the extension headers that may stand before the transport header.
func decodeIPv6(b []byte, s *segment) drop {
	if len(b) < 40 {
		return dropMalformed
	}
	next, length := b[6], int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 { // segmentation offload, as for IPv4
		length = len(b) - 40
	}
	src, dst, rest := [16]byte(b[8:24]), [16]byte(b[24:40]), b[40:min(40+length, len(b))]
	for {
		switch next {
		case 0, 43, 60, 135: // hop-by-hop, routing, destination options, mobility
			if len(rest) < 8 {
				return dropMalformed
			}
			n := 8 + 8*int(rest[1])
			if n > len(rest) {
				return dropMalformed
			}
			next, rest, length = rest[0], rest[n:], length-n
		case 44:
			return dropFragment
		default:
			return decodeTransport(flow.Proto(next), src, dst, rest, length, s)
		}
	}
}

// decodeTransport reads the TCP or UDP header in b, of a packet whose IP payload was length bytes long on the wire.
func decodeTransport(p flow.Proto, src, dst [16]byte, b []byte, length int, s *segment) drop {
	header := 8
	switch p {
	case flow.UDP:
		if len(b) < 8 {
			return dropMalformed
		}
		if n := int(binary.BigEndian.Uint16(b[4:])); n >= 8 && n < length {
			length = n
		}
	case flow.TCP:
		if len(b) < 20 {
			return dropMalformed
		}
		header = int(b[12]>>4) * 4
		if header < 20 || header > length {
			return dropMalformed
		}
		s.seq, s.ack, s.flags = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), b[13]
	default:
		return dropTransport
	}
	s.proto = p
	s.payload = b[min(header, len(b)):min(length, len(b))]
	s.missing = length - header - len(s.payload)
	s.setKey(src, dst, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]))
	return dropNone
}

func (s *segment) setKey(src, dst [16]byte, sport, dport uint16) {
	s.key.proto = s.proto
	s.fromLow = lower(src, dst, sport, dport)
	if s.fromLow {
		s.key.ip, s.key.port = [2][16]byte{src, dst}, [2]uint16{sport, dport}
	} else {
		s.key.ip, s.key.port = [2][16]byte{dst, src}, [2]uint16{dport, sport}
	}
}

func lower(a, b [16]byte, ap, bp uint16) bool {
	ah, bh := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(b[:8])
	if ah != bh {
		return ah < bh
	}
	al, bl := binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:])
	if al != bl {
		return al < bl
	}
	return ap <= bp
}
