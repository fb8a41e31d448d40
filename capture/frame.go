package capture

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	macLength    = 6
	tagLength    = 4
	cookedLength = 16
)

// tag returns the identifier and the content of the VLAN tag that the kernel has taken out of the packet.
func tag(h *unix.Tpacket3Hdr) (tpid, tci uint16) {
	tpid = unix.ETH_P_8021Q
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tpid = h.Hv1.Vlan_tpid
	}
	return tpid, uint16(h.Hv1.Vlan_tci)
}

// retag puts the VLAN tag back between the addresses and the type of the Ethernet packet at start. It returns where the
// packet begins now: in the room that was reserved before it.
func retag(mem []byte, start int, h *unix.Tpacket3Hdr) int {
	tpid, tci := tag(h)
	front := start - tagLength
	copy(mem[front:], mem[start:start+2*macLength])
	binary.BigEndian.PutUint16(mem[front+2*macLength:], tpid)
	binary.BigEndian.PutUint16(mem[front+2*macLength+2:], tci)
	return front
}

// cook puts a Linux cooked header (LINKTYPE_LINUX_SLL) before the packet at start, whose link header the kernel has
// taken away. It returns where the packet begins now.
func cook(mem []byte, start int, h *unix.Tpacket3Hdr, from *unix.RawSockaddrLinklayer) int {
	protocol := from.Protocol // in network order already
	front := start - cookedLength
	if h.Status&unix.TP_STATUS_VLAN_VALID != 0 {
		tpid, tci := tag(h)
		front -= tagLength
		binary.BigEndian.PutUint16(mem[start-tagLength:], tci)
		binary.NativeEndian.PutUint16(mem[start-tagLength+2:], protocol)
		protocol = swap(tpid)
	}
	b := mem[front : front+cookedLength]
	binary.BigEndian.PutUint16(b, uint16(from.Pkttype))
	binary.BigEndian.PutUint16(b[2:], from.Hatype)
	binary.BigEndian.PutUint16(b[4:], uint16(from.Halen))
	copy(b[6:14], from.Addr[:])
	binary.NativeEndian.PutUint16(b[14:], protocol)
	return front
}
