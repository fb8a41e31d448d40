package gobinary

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	pieceSize = 64 << 10 // what is read at once, and the most memory that a search needs
	maxSearch = 1 << 30  // bytes that are searched for one thing: segments of hostile files lie upon each other
	relaSize  = 24       // of an Elf64_Rela
)

// Image is a program as the kernel maps it. Nothing in it needs to be true; what is read of the file is bounded by the sizes.
type Image struct {
	File        io.ReaderAt
	Machine     elf.Machine // of 64 bits, little-endian
	Segments    []Segment
	Relocations []Span // tables of Elf64_Rela
}

// Span is a part of the file.
type Span struct{ Offset, Size uint64 }

// Segment is a part of the file that is mapped at an address.
type Segment struct {
	Span
	Addr        uint64
	Exec, Write bool
}

// architecture is what differs between processors.
type architecture struct {
	relative uint32 // the relocation that adds the load address
	minLC    byte   // the size of the smallest instruction, as the pclntab has it
	places   func(code []byte) (enter int, calls []call, err error)
}

func (m *Image) architecture() (architecture, error) {
	switch m.Machine {
	case elf.EM_X86_64:
		return architecture{uint32(elf.R_X86_64_RELATIVE), 1, placesAMD64}, nil
	case elf.EM_AARCH64:
		return architecture{uint32(elf.R_AARCH64_RELATIVE), armSize, placesARM64}, nil
	}
	return architecture{}, fmt.Errorf("no support for %s", m.Machine)
}

// Kinds of segments that are searched.
func writable(s Segment) bool  { return s.Write && !s.Exec }
func code(s Segment) bool      { return s.Exec }
func constants(s Segment) bool { return !s.Exec } // and data, where the dynamic linker changes them

// segments returns those of a kind.
func (m *Image) segments(kind func(Segment) bool) (found []Segment, err error) {
	size := uint64(0)
	for _, s := range m.Segments {
		if !kind(s) {
			continue
		}
		found = append(found, s)
		if size += min(s.Size, maxSearch); size > maxSearch {
			return nil, errTooMuch
		}
	}
	return found, nil
}

var errTooMuch = errors.New("it has more data than any program is known to have")

// reader returns a part of the file, or nothing where the numbers are beyond any file.
func (m *Image) reader(s Span) *io.SectionReader {
	if s.Offset > math.MaxInt64 || s.Size > math.MaxInt64-s.Offset {
		return io.NewSectionReader(m.File, 0, 0)
	}
	return io.NewSectionReader(m.File, int64(s.Offset), int64(s.Size))
}

// from returns what is mapped from an address to the end of its segment.
func (m *Image) from(addr uint64) (*io.SectionReader, error) {
	for _, s := range m.Segments {
		if addr >= s.Addr && addr-s.Addr < s.Size {
			return m.reader(Span{s.Offset + (addr - s.Addr), s.Size - (addr - s.Addr)}), nil
		}
	}
	return nil, fmt.Errorf("nothing of the file is at %#x", addr)
}

// read fills b with what lies at an address.
func (m *Image) read(addr uint64, b []byte) error {
	r, err := m.from(addr)
	if err == nil {
		_, err = io.ReadFull(r, b)
	}
	return err
}

// readCode fills b with instructions and returns where they are in the file.
func (m *Image) readCode(addr uint64, b []byte) (offset uint64, err error) {
	for _, s := range m.Segments {
		if s.Exec && addr >= s.Addr && addr-s.Addr < s.Size {
			at := Span{s.Offset + (addr - s.Addr), s.Size - (addr - s.Addr)}
			_, err := io.ReadFull(m.reader(at), b)
			return at.Offset, err
		}
	}
	return 0, fmt.Errorf("no code of the file is at %#x", addr)
}

// relocations calls each with the address and the value of every pointer that the dynamic linker writes when it moves the image:
// the file itself need not have the value.
func (m *Image) relocations(kind uint32, each func(addr, value uint64)) error {
	size := uint64(0)
	for _, s := range m.Relocations {
		if size += min(s.Size, maxSearch); size > maxSearch {
			return errTooMuch
		}
		in := bufio.NewReaderSize(m.reader(s), pieceSize)
		var entry [relaSize]byte
		for range s.Size / relaSize {
			if _, err := io.ReadFull(in, entry[:]); err != nil {
				return fmt.Errorf("read relocations: %w", err)
			}
			if binary.LittleEndian.Uint32(entry[8:]) == kind {
				each(binary.LittleEndian.Uint64(entry[:]), binary.LittleEndian.Uint64(entry[16:]))
			}
		}
	}
	return nil
}

// search calls found with the place of every occurrence of a needle in r, until it returns false.
func search(r *io.SectionReader, needle []byte, found func(at int64) (more bool)) error {
	piece := make([]byte, min(r.Size(), pieceSize))
	step := int64(len(piece) - len(needle) + 1)
	for base := int64(0); r.Size()-base >= int64(len(needle)); base += step {
		n, err := r.ReadAt(piece, base)
		if int64(n) < min(r.Size()-base, int64(len(piece))) {
			return fmt.Errorf("read at %#x: %w", base, err)
		}
		for at := 0; ; at++ {
			next := bytes.Index(piece[at:n], needle)
			if next < 0 {
				break
			}
			at += next
			if !found(base + int64(at)) {
				return nil
			}
		}
	}
	return nil
}
