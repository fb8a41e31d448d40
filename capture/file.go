package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Bounds on what a file may make us keep. Longer blocks of kinds that are not looked into are skipped without a limit.
const (
	MaxPacket     = 256 << 10 // bytes captured of one packet
	maxBlock      = 16 << 20  // one block of a pcapng file that is looked into, secrets among them
	maxInterfaces = 4096      // in one section
	maxName       = 255       // bytes of an interface's name
	maxZstdWindow = 128 << 20 // what zstd --long=27 needs
)

// TLSKeyLog is the kind of secrets that hold lines of a TLS key log ("TLSK", draft-ietf-opsawg-pcapng §4.7).
const TLSKeyLog uint32 = 0x544c534b

// FileOptions says what to do with what a capture file holds besides packets.
type FileOptions struct {
	// Secrets, unless nil, is called by Read with each Decryption Secrets Block as it is met. data is valid until it returns.
	Secrets func(kind uint32, data []byte)
}

// File reads a capture file of either format, plain or compressed with gzip or zstd, in constant memory.
// It is a Reader; only Progress may be called from other goroutines.
type File struct {
	name   string
	size   int64
	raw    *meter
	w      window
	format format
	err    error // what every further Read returns
	close  []func() error
}

// format is pcap or pcapng.
type format interface {
	// next fills in p with the next packet of w. An error that is a damage ends the file.
	next(w *window, p *Packet) error
}

// OpenFile opens the capture file at path; "-" is the standard input.
func OpenFile(path string, o FileOptions) (*File, error) {
	if path == "-" {
		return NewReader("standard input", os.Stdin, o)
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open capture file: %w", err)
	}
	f, err := NewReader(path, in, o)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	f.close = append(f.close, in.Close)
	if info, err := in.Stat(); err == nil && info.Mode().IsRegular() {
		f.size = info.Size()
	}
	return f, nil
}

// NewReader reads a capture file from r, which it does not close. The name is for messages.
func NewReader(name string, r io.Reader, o FileOptions) (*File, error) {
	f := &File{name: name, raw: &meter{r: r}}
	if err := f.open(o); err != nil {
		return nil, errors.Join(f.explain(err), f.Close())
	}
	return f, nil
}

// open finds out what the first bytes are: a compressor's magic number, then a capture format's.
func (f *File) open(o FileOptions) error {
	f.w = window{r: f.raw, buf: make([]byte, readSize)}
	magic, err := f.w.peek(4)
	if err != nil {
		return err
	}
	plain, err := f.decompressor(magic)
	if err != nil {
		return err
	}
	if plain != nil {
		f.w = window{r: plain, buf: make([]byte, readSize)}
		if magic, err = f.w.peek(4); err != nil {
			return err
		}
	}
	f.format, err = detect(&f.w, magic, o)
	return err
}

// decompressor returns a reader of the plain bytes, or nil where they are plain already.
func (f *File) decompressor(magic []byte) (io.Reader, error) {
	compressed := io.MultiReader(bytes.NewReader(f.w.buf[:f.w.end]), f.raw)
	switch {
	case magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(compressed)
		if err != nil {
			return nil, f.w.damage(err)
		}
		f.close = append(f.close, z.Close)
		return z, nil
	case binary.LittleEndian.Uint32(magic) == 0xfd2fb528:
		z, err := zstd.NewReader(compressed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, fmt.Errorf("open zstd stream: %w", err)
		}
		f.close = append(f.close, func() error { z.Close(); return nil })
		return z, nil
	}
	return nil, nil
}

// detect tells the formats apart by their first four bytes and reads the header.
func detect(w *window, magic []byte, o FileOptions) (format, error) {
	little, big := binary.LittleEndian.Uint32(magic), binary.BigEndian.Uint32(magic)
	switch {
	case little == blockSection:
		s := &pcapng{secrets: o.Secrets}
		return s, s.section(w)
	case little == pcapMicros || little == pcapNanos:
		return newPcap(w, binary.LittleEndian, little == pcapNanos)
	case big == pcapMicros || big == pcapNanos:
		return newPcap(w, binary.BigEndian, big == pcapNanos)
	case little == pcapModified || big == pcapModified:
		return nil, w.damage(errors.New("this is the modified pcap format of old Linux systems, which is not supported: convert the file with editcap"))
	}
	return nil, w.damage(fmt.Errorf("neither a pcap nor a pcapng file: it begins with % x", magic))
}

// Read fills in p with the next packet. It does not allocate.
func (f *File) Read(p *Packet) error {
	if f.err != nil {
		return f.err
	}
	if err := f.format.next(&f.w, p); err != nil {
		f.err = f.explain(err)
		return f.err
	}
	return nil
}

// ReadSecrets reads the file to its end, or until ctx is done, for the secrets in it alone: blocks of packets are not looked into. A file
// that can't hold any is not read.
func (f *File) ReadSecrets(ctx context.Context) error {
	ng, ok := f.format.(*pcapng)
	if !ok {
		return nil
	}
	ng.noPackets = true
	for ctx.Err() == nil {
		if _, err := ng.step(&f.w, nil); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return f.explain(err)
		}
	}
	return ctx.Err()
}

// explain turns the end of the file, damage to it and trouble with reading it into the error of a Reader.
func (f *File) explain(err error) error {
	if f.raw.err != nil && errors.Is(err, f.raw.err) {
		return fmt.Errorf("read %s: %w", f.name, f.raw.err)
	}
	if d, ok := errors.AsType[*FormatError](err); ok {
		d.File = f.name
	}
	return err
}

// Progress returns how many bytes of the (compressed) input were read, and how many there are in all: 0 where that is
// unknown.
func (f *File) Progress() (done, total int64) { return f.raw.n.Load(), f.size }

// Close closes what OpenFile opened.
func (f *File) Close() error {
	var err error
	for _, c := range f.close {
		err = errors.Join(err, c())
	}
	f.close, f.err = nil, os.ErrClosed
	return err
}

// meter counts the bytes that pass, and remembers the error of a reader that failed: what a decompressor then says
// would blame the data.
type meter struct {
	r   io.Reader
	n   atomic.Int64
	err error
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	m.n.Add(int64(n))
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}
