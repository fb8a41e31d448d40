package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// section reads a Section Header Block: the byte order is its own, and no interface of the section before is left.
func (f *pcapng) section(w *window) error {
	h, err := w.peek(12)
	if err != nil {
		return err
	}
	switch uint32(byteOrderMagic) {
	case binary.LittleEndian.Uint32(h[8:]):
		f.order = binary.LittleEndian
	case binary.BigEndian.Uint32(h[8:]):
		f.order = binary.BigEndian
	default:
		return w.damageAt(8, fmt.Errorf("no byte order has the mark % x", h[8:12]))
	}
	length := f.order.Uint32(h[4:])
	if length < blockOverhead+16 || length%4 != 0 {
		return w.damageAt(4, fmt.Errorf("a section header of %d bytes", length))
	}
	body, err := f.body(w, length)
	if err != nil {
		return err
	}
	if major := f.order.Uint16(body[4:]); major != 1 {
		return w.damageAt(12, fmt.Errorf("pcapng version %d.%d is not supported", major, f.order.Uint16(body[6:])))
	}
	f.interfaces = f.interfaces[:0]
	w.take(int(length))
	return nil
}

// describe reads an Interface Description Block.
func (f *pcapng) describe(w *window, body []byte) error {
	if len(body) < 8 {
		return w.damageAt(4, errors.New("an interface description that is too short"))
	}
	if len(f.interfaces) == maxInterfaces {
		return w.damage(fmt.Errorf("more than %d interfaces in a section", maxInterfaces))
	}
	i := ngInterface{link: LinkType(f.order.Uint16(body)), snap: f.order.Uint32(body[4:]), clock: clock{unit: 1_000_000}}
	for o := body[8:]; len(o) >= 4; {
		code, n := f.order.Uint16(o), int(f.order.Uint16(o[2:]))
		if code == optEnd {
			break
		}
		if n > len(o)-4 {
			return w.damageAt(8+len(body)-len(o)+2, fmt.Errorf("an option of %d bytes where %d are left", n, len(o)-4))
		}
		i.option(f.order, code, o[4:4+n])
		o = o[min(4+(n+3)&^3, len(o)):]
	}
	f.interfaces = append(f.interfaces, i)
	return nil
}

func (i *ngInterface) option(order binary.ByteOrder, code uint16, value []byte) {
	switch {
	case code == optName:
		value = bytes.TrimRight(value[:min(len(value), maxName)], "\x00")
		i.name = strings.ToValidUTF8(string(value), "?")
	case code == optTsResol && len(value) >= 1:
		i.clock.unit = resolution(value[0])
	case code == optTsOffset && len(value) >= 8:
		i.clock.offset = int64(order.Uint64(value))
	}
}

// packet reads an Enhanced Packet Block or the Packet Block that it replaced: they differ in the width of the
// interface's number.
func (f *pcapng) packet(w *window, kind uint32, body []byte, p *Packet) error {
	if len(body) < 20 {
		return w.damageAt(4, errors.New("a packet block that is too short"))
	}
	n := f.order.Uint32(body)
	if kind == blockOldPacket {
		n = uint32(f.order.Uint16(body))
	}
	if n >= uint32(len(f.interfaces)) {
		return w.damageAt(8, fmt.Errorf("a packet of interface %d, of which there are %d", n, len(f.interfaces)))
	}
	i := &f.interfaces[n]
	f.last = i.clock.read(uint64(f.order.Uint32(body[4:]))<<32 | uint64(f.order.Uint32(body[8:])))
	return f.fill(w, p, i, 20, f.order.Uint32(body[12:]), f.order.Uint32(body[16:]), body[20:])
}

// simple reads a Simple Packet Block: it is of the first interface, and cut at that one's snap length.
func (f *pcapng) simple(w *window, body []byte, p *Packet) error {
	if len(body) < 4 {
		return w.damageAt(4, errors.New("a simple packet block that is too short"))
	}
	if len(f.interfaces) == 0 {
		return w.damage(errors.New("a packet before any interface description"))
	}
	i := &f.interfaces[0]
	length := f.order.Uint32(body)
	captured := length
	if i.snap > 0 {
		captured = min(captured, i.snap)
	}
	return f.fill(w, p, i, 8, min(captured, uint32(len(body)-4)), length, body[4:])
}

// fill hands out the captured bytes that b begins with. at is where their number is told, after the next byte of w.
func (f *pcapng) fill(w *window, p *Packet, i *ngInterface, at int, captured, length uint32, b []byte) error {
	if captured > MaxPacket {
		return w.tooLong(at, "a packet", uint64(captured), MaxPacket)
	}
	if int(captured) > len(b) {
		return w.damageAt(at, fmt.Errorf("a packet of %d bytes in a block that has room for %d", captured, len(b)))
	}
	p.Time = f.last.time()
	p.Link = i.link
	p.Length = int(max(length, captured))
	p.Data = b[:captured:captured]
	p.Interface = i.name
	return nil
}

// secret reads a Decryption Secrets Block.
func (f *pcapng) secret(w *window, body []byte) error {
	if len(body) < 8 {
		return w.damageAt(4, errors.New("a secrets block that is too short"))
	}
	n := f.order.Uint32(body[4:])
	if uint64(n) > uint64(len(body)-8) {
		return w.damageAt(12, fmt.Errorf("secrets of %d bytes in a block that has room for %d", n, len(body)-8))
	}
	f.secrets(f.order.Uint32(body), body[8:8+n])
	return nil
}
