package capture

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Magic numbers of pcap files (draft-ietf-opsawg-pcap §4), as read in the byte order of the writer.
const (
	pcapMicros   = 0xa1b2c3d4
	pcapNanos    = 0xa1b23c4d
	pcapModified = 0xa1b2cd34

	pcapFileHeader   = 24
	pcapRecordHeader = 16
)

// pcap reads the classic format. The byte order is a flag, not an interface: the calls would cost more than the swap.
type pcap struct {
	big   bool
	scale int64 // nanoseconds in a unit of the fraction
	link  LinkType
}

// newPcap reads the file header.
func newPcap(w *window, order binary.ByteOrder, nanos bool) (*pcap, error) {
	h, err := w.peek(pcapFileHeader)
	if err != nil {
		return nil, err
	}
	if major := order.Uint16(h[4:]); major != 2 {
		return nil, w.damageAt(4, fmt.Errorf("pcap version %d.%d is not supported", major, order.Uint16(h[6:])))
	}
	p := &pcap{big: order == binary.ByteOrder(binary.BigEndian), scale: 1000}
	if nanos {
		p.scale = 1
	}
	// The upper bits tell of a frame check sequence, which the length of the IP packet makes us ignore anyway.
	p.link = LinkType(order.Uint32(h[20:]) & 0xffff)
	w.take(pcapFileHeader)
	return p, nil
}

func (f *pcap) next(w *window, p *Packet) error {
	h, err := w.peek(pcapRecordHeader)
	if err != nil {
		return err
	}
	sec, frac := f.uint32(h), f.uint32(h[4:])
	captured, length := f.uint32(h[8:]), f.uint32(h[12:])
	if captured > MaxPacket {
		return w.tooLong(8, "a packet", uint64(captured), MaxPacket)
	}
	b, err := w.peek(pcapRecordHeader + int(captured))
	if err != nil {
		return err
	}
	w.take(len(b))
	p.Time = time.Unix(int64(sec), int64(frac)*f.scale).UTC()
	p.Link = f.link
	p.Length = int(max(length, captured))
	p.Data = b[pcapRecordHeader:]
	p.Interface = ""
	return nil
}

func (f *pcap) uint32(b []byte) uint32 {
	if f.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}
