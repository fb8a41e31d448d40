package blob

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Application is the program that exported files name.
const Application = "Vitrine"

// WriteBefore writes packets as they were captured: a pcapng file, with the key log before the first packet unless it is
// empty. An error among the packets does not end the file; it is returned once all others are written.
func WriteBefore(w io.Writer, packets iter.Seq2[capture.Packet, error], keyLog []byte) error {
	return export(w, packets, keyLog)
}

// WriteAfter writes packets that hold plaintext: a pcapng file. Errors are as with WriteBefore.
func WriteAfter(w io.Writer, packets iter.Seq2[capture.Packet, error]) error {
	return export(w, packets, nil)
}

func export(w io.Writer, packets iter.Seq2[capture.Packet, error], keyLog []byte) error {
	out := newPcapng(w)
	if len(keyLog) > 0 {
		out.secrets(keyLog)
	}
	var damage error
	for p, err := range packets {
		if err != nil {
			damage = errors.Join(damage, err)
			continue
		}
		if err := out.packet(&p); err != nil {
			return err
		}
	}
	return errors.Join(out.flush(), damage)
}

// File records packets in one pcapng file. It is a Recorder.
type File struct {
	mu  sync.Mutex
	out *pcapng
	err error
}

// NewFile returns a File that writes to w, which it does not close.
func NewFile(w io.Writer) *File { return &File{out: newPcapng(w)} }

// Append writes a packet. An error ends the file, and is what Close returns.
func (f *File) Append(_ flow.ID, p *capture.Packet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = f.out.packet(p)
	}
}

// Close writes what is left in memory and returns the first error of all.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = f.out.flush()
	}
	return f.err
}

// Blocks and options of pcapng files (draft-ietf-opsawg-pcapng §4).
const (
	blockInterface = 1
	blockPacket    = 6
	blockSecrets   = 10
	blockSection   = 0x0a0d0d0a

	optEnd         = 0
	optName        = 2
	optApplication = 4
	optTsResol     = 9

	byteOrderMagic = 0x1a2b3c4d
	nanoseconds    = 9 // as a negative power of ten
)

// pcapng writes a pcapng file of one section. Its errors stay in the buffered writer, which returns them ever after.
type pcapng struct {
	w          *bufio.Writer
	interfaces map[netInterface]uint32
	block      []byte // being built
}

// netInterface is what makes two interfaces different.
type netInterface struct {
	name string
	link capture.LinkType
}

func newPcapng(w io.Writer) *pcapng {
	f := &pcapng{w: bufio.NewWriterSize(w, 64<<10), interfaces: map[netInterface]uint32{}}
	f.begin(blockSection)
	f.uint32(byteOrderMagic)
	f.uint32(1) // version 1.0
	f.block = binary.LittleEndian.AppendUint64(f.block, ^uint64(0))
	f.option(optApplication, []byte(Application))
	f.option(optEnd, nil)
	f.end()
	return f
}

// begin starts a block; end writes it.
func (f *pcapng) begin(kind uint32) {
	f.block = binary.LittleEndian.AppendUint32(f.block[:0], kind)
	f.uint32(0) // the length, set by end
}

func (f *pcapng) uint32(n uint32) { f.block = binary.LittleEndian.AppendUint32(f.block, n) }

// bytes appends b and what fills it up to a multiple of four.
func (f *pcapng) bytes(b []byte) {
	f.block = append(f.block, b...)
	f.block = append(f.block, "\x00\x00\x00"[:-len(b)&3]...)
}

func (f *pcapng) option(code uint16, value []byte) {
	f.block = binary.LittleEndian.AppendUint16(f.block, code)
	f.block = binary.LittleEndian.AppendUint16(f.block, uint16(len(value)))
	f.bytes(value)
}

func (f *pcapng) end() {
	n := uint32(len(f.block) + 4)
	binary.LittleEndian.PutUint32(f.block[4:], n)
	f.uint32(n)
	f.w.Write(f.block) // an error stays until flush
}

// secrets writes a Decryption Secrets Block.
func (f *pcapng) secrets(keyLog []byte) {
	f.begin(blockSecrets)
	f.uint32(capture.TLSKeyLog)
	f.uint32(uint32(len(keyLog)))
	f.bytes(keyLog)
	f.end()
}

// packet writes an Enhanced Packet Block, and before the first one of an interface its description.
func (f *pcapng) packet(p *capture.Packet) error {
	at := netInterface{p.Interface, p.Link}
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
	f.end()
	_, err := f.w.Write(nil) // tells an error of before
	return err
}

func (f *pcapng) describe(i netInterface) {
	f.begin(blockInterface)
	f.uint32(uint32(i.link)) // and two bytes that are reserved
	f.uint32(capture.MaxPacket)
	if i.name != "" {
		f.option(optName, []byte(i.name))
	}
	f.option(optTsResol, []byte{nanoseconds})
	f.option(optEnd, nil)
	f.end()
}

func (f *pcapng) flush() error {
	if err := f.w.Flush(); err != nil {
		return fmt.Errorf("write capture file: %w", err)
	}
	return nil
}
