package capture

import (
	"encoding/binary"
	"fmt"
)

// Block types of pcapng files (draft-ietf-opsawg-pcapng §4).
const (
	blockInterface = 1
	blockOldPacket = 2
	blockSimple    = 3
	blockPacket    = 6
	blockSecrets   = 10
	blockSection   = 0x0a0d0d0a

	byteOrderMagic = 0x1a2b3c4d
	blockOverhead  = 12 // type, length, and the length again
)

// Options of an Interface Description Block (§4.2).
const (
	optEnd      = 0
	optName     = 2
	optTsResol  = 9
	optTsOffset = 14
)

// pcapng reads the sections of a pcapng file.
type pcapng struct {
	order      binary.ByteOrder
	interfaces []ngInterface // of the current section
	last       clockReading  // a Simple Packet Block tells no time: it gets that of the packet before
	secrets    func(kind uint32, data []byte)
	noPackets  bool // secrets are all that is read
}

// ngInterface is what an Interface Description Block says.
type ngInterface struct {
	link  LinkType
	snap  uint32 // 0: no limit
	name  string
	clock clock
}

// next reads blocks up to the next packet.
func (f *pcapng) next(w *window, p *Packet) error {
	for {
		if found, err := f.step(w, p); found || err != nil {
			return err
		}
	}
}

// step reads or skips the next block, and tells whether it held a packet.
func (f *pcapng) step(w *window, p *Packet) (bool, error) {
	h, err := w.peek(8)
	if err != nil {
		return false, err
	}
	kind := f.order.Uint32(h)
	if kind == blockSection {
		return false, f.section(w)
	}
	length := f.order.Uint32(h[4:])
	if length < blockOverhead || length%4 != 0 {
		return false, w.damageAt(4, fmt.Errorf("a block of %d bytes", length))
	}
	if !f.wanted(kind) {
		return false, w.skip(int64(length))
	}
	body, err := f.body(w, length)
	if err != nil {
		return false, err
	}
	found, err := f.block(w, kind, body, p)
	w.take(int(length))
	return found, err
}

// wanted says whether a block is looked into.
func (f *pcapng) wanted(kind uint32) bool {
	switch kind {
	case blockInterface, blockPacket, blockSimple, blockOldPacket:
		return !f.noPackets
	case blockSecrets:
		return f.secrets != nil
	}
	return false
}

// body returns what is between the header and the trailing length of the next block.
func (f *pcapng) body(w *window, length uint32) ([]byte, error) {
	if length > maxBlock {
		return nil, w.tooLong(4, "a block", uint64(length), maxBlock)
	}
	b, err := w.peek(int(length))
	if err != nil {
		return nil, err
	}
	if again := f.order.Uint32(b[length-4:]); again != length {
		return nil, w.damageAt(int(length)-4, fmt.Errorf("a block of %d bytes ends with the length %d", length, again))
	}
	return b[8 : length-4], nil
}

// block looks into one block, which is still next in w, and tells whether it held a packet.
func (f *pcapng) block(w *window, kind uint32, body []byte, p *Packet) (bool, error) {
	switch kind {
	case blockPacket, blockOldPacket:
		return true, f.packet(w, kind, body, p)
	case blockSimple:
		return true, f.simple(w, body, p)
	case blockInterface:
		return false, f.describe(w, body)
	}
	return false, f.secret(w, body)
}
