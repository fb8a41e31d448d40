package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	optApplication = 4
	nanoseconds    = 9 // as a negative power of ten
)

// Writer writes a pcapng file of one section, with times in nanoseconds. What it cannot write stays an error: every
// later call returns it.
type Writer struct {
	w          *bufio.Writer
	interfaces map[netInterface]uint32
	block      []byte // being built
}

// netInterface is what makes two interfaces different.
type netInterface struct {
	name string
	link LinkType
}

// NewWriter begins a file that names the application.
func NewWriter(w io.Writer, application string) *Writer {
	f := &Writer{w: bufio.NewWriterSize(w, 64<<10), interfaces: map[netInterface]uint32{}}
	f.begin(blockSection)
	f.uint32(byteOrderMagic)
	f.uint32(1) // version 1.0
	f.block = binary.LittleEndian.AppendUint64(f.block, ^uint64(0))
	f.option(optApplication, []byte(application))
	f.option(optEnd, nil)
	f.end()
	return f
}

// Secrets writes a Decryption Secrets Block. It must come before the packets that need it.
func (f *Writer) Secrets(kind uint32, data []byte) {
	f.begin(blockSecrets)
	f.uint32(kind)
	f.uint32(uint32(len(data)))
	f.bytes(data)
	f.end()
}

// Packet writes a packet, and before the first one of an interface what that is.
func (f *Writer) Packet(p *Packet) error {
	at := netInterface{p.Interface[:min(len(p.Interface), maxName)], p.Link}
	n, known := f.interfaces[at]
	if !known {
		n = uint32(len(f.interfaces))
		f.interfaces[at] = n
		f.describe(at)
	}
	stamp := uint64(p.Time.UnixNano())
	f.begin(blockPacket)
	f.uint32(n)
	f.uint32(uint32(stamp >> 32))
	f.uint32(uint32(stamp))
	f.uint32(uint32(len(p.Data)))
	f.uint32(uint32(p.Length))
	f.bytes(p.Data)
	return f.end()
}

func (f *Writer) describe(i netInterface) {
	f.begin(blockInterface)
	f.uint32(uint32(i.link)) // and two bytes that are reserved
	f.uint32(MaxPacket)
	if i.name != "" {
		f.option(optName, []byte(i.name))
	}
	f.option(optTsResol, []byte{nanoseconds})
	f.option(optEnd, nil)
	f.end()
}

// Flush writes what is still in memory.
func (f *Writer) Flush() error {
	if err := f.w.Flush(); err != nil {
		return fmt.Errorf("write capture file: %w", err)
	}
	return nil
}

// begin starts a block; end writes it.
func (f *Writer) begin(kind uint32) {
	f.block = binary.LittleEndian.AppendUint32(f.block[:0], kind)
	f.uint32(0) // the length, set by end
}

func (f *Writer) uint32(n uint32) { f.block = binary.LittleEndian.AppendUint32(f.block, n) }

// bytes appends b and what fills it up to a multiple of four.
func (f *Writer) bytes(b []byte) {
	f.block = append(f.block, b...)
	f.block = append(f.block, "\x00\x00\x00"[:-len(b)&3]...)
}

func (f *Writer) option(code uint16, value []byte) {
	f.block = binary.LittleEndian.AppendUint16(f.block, code)
	f.block = binary.LittleEndian.AppendUint16(f.block, uint16(len(value)))
	f.bytes(value)
}

func (f *Writer) end() error {
	n := uint32(len(f.block) + 4)
	binary.LittleEndian.PutUint32(f.block[4:], n)
	f.uint32(n)
	if _, err := f.w.Write(f.block); err != nil {
		return fmt.Errorf("write capture file: %w", err)
	}
	return nil
}
