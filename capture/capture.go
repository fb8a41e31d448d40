// Package capture brings packets in: from pcap and pcapng files, plain or compressed, and from network interfaces.
// Bytes of a file or of a kernel ring go in, Packets come out; Writer turns them into a file again. Of link layers it
// knows their numbers and what the kernel takes out of them; it knows nothing of IP, TCP or TLS.
package capture

import (
	"fmt"
	"time"
)

// LinkType is the layer that a packet's bytes begin with, by its number in the LINKTYPE_ registry (tcpdump.org/linktypes.html).
type LinkType uint32

const (
	Null        LinkType = 0   // BSD loopback: 4 bytes of address family in the host order of the capturing machine
	Ethernet    LinkType = 1   //
	RawIP       LinkType = 101 // IPv4 or IPv6, by its version nibble
	Loop        LinkType = 108 // OpenBSD loopback: as Null, in network order
	LinuxCooked LinkType = 113 // SLL: 16 bytes
	IPv4        LinkType = 228
	IPv6        LinkType = 229
	LinuxSLL2   LinkType = 276 // SLL2: 20 bytes
)

// Packet is one packet as it was seen on a link.
type Packet struct {
	Time   time.Time
	Link   LinkType
	Length int // on the wire; len(Data) is less where the capture cut it
	// Data is valid until the next Read of the Reader that gave it.
	Data []byte
	// Interface is the name of the interface, or empty where a file does not tell.
	Interface string
}

// Reader is a sequence of packets.
type Reader interface {
	// Read fills in p. It returns io.EOF at the end of a file, and a *FormatError at damage: all packets before it have been read.
	Read(p *Packet) error
	Close() error
}

// FormatError is damage in a capture file.
type FormatError struct {
	File   string
	Offset int64 // of the first byte that makes no sense, in the uncompressed file
	Err    error
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("read %s: damaged at byte %d: %v", e.File, e.Offset, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }
