package gobinary

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	pieceSize   = 256 << 10 // what is read at once, and the most memory that a search needs
	maxSegments = 256
	relaSize    = 24 // of an Elf64_Rela
)

// architecture is what differs between processors.
type architecture struct {
	relative uint32 // the relocation that adds the load address
	minLC    byte   // what the pclntab says of the smallest instruction
	places   func(code []byte) (enter int, returns []int, err error)
}

var architectures = map[elf.Machine]architecture{
	elf.EM_X86_64:  {uint32(elf.R_X86_64_RELATIVE), 1, placesAMD64},
	elf.EM_AARCH64: {uint32(elf.R_AARCH64_RELATIVE), 4, placesARM64},
}

// image is a file as the kernel and the dynamic linker see it: bytes at virtual addresses. It is never read whole.
type image struct {
	file     *elf.File
	arch     architecture
	segments []*elf.Prog // those that are loaded
}

func newImage(file *elf.File) (*image, error) {
	arch, known := architectures[file.Machine]
	if !known || file.Class != elf.ELFCLASS64 || file.Data != elf.ELFDATA2LSB {
		return nil, fmt.Errorf("no support for %s", file.Machine)
	}
	m := &image{file: file, arch: arch}
	for _, p := range file.Progs {
		if p.Type == elf.PT_LOAD && p.Filesz > 0 {
			if p.Vaddr+p.Filesz < p.Vaddr || p.Off+p.Filesz < p.Off {
				return nil, fmt.Errorf("a segment of %d bytes at %#x", p.Filesz, p.Vaddr)
			}
			m.segments = append(m.segments, p)
		}
	}
	if len(m.segments) > maxSegments {
		return nil, fmt.Errorf("%d segments, at most %d", len(m.segments), maxSegments)
	}
	return m, nil
}

// section returns size bytes from an address on. They lie within one segment.
func (m *image) section(addr, size uint64) (*io.SectionReader, error) {
	for _, p := range m.segments {
		if addr >= p.Vaddr && addr-p.Vaddr <= p.Filesz && size <= p.Filesz-(addr-p.Vaddr) {
			return io.NewSectionReader(p, int64(addr-p.Vaddr), int64(size)), nil
		}
	}
	return nil, fmt.Errorf("no %d bytes at %#x in the file", size, addr)
}

// after returns all bytes from an address to the end of its segment.
func (m *image) after(addr uint64) (*io.SectionReader, error) {
	for _, p := range m.segments {
		if addr >= p.Vaddr && addr-p.Vaddr < p.Filesz {
			return m.section(addr, p.Filesz-(addr-p.Vaddr))
		}
	}
	return nil, fmt.Errorf("nothing at %#x in the file", addr)
}

// read fills b with what lies at an address.
func (m *image) read(addr uint64, b []byte) error {
	s, err := m.section(addr, uint64(len(b)))
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(s, b); err != nil {
		return fmt.Errorf("read %d bytes at %#x: %w", len(b), addr, err)
	}
	return nil
}

// readCode fills b from an executable segment and returns where it is in the file.
func (m *image) readCode(addr uint64, b []byte) (offset uint64, err error) {
	for _, p := range m.segments {
		if p.Flags&elf.PF_X != 0 && addr >= p.Vaddr && addr-p.Vaddr < p.Filesz {
			return p.Off + addr - p.Vaddr, m.read(addr, b)
		}
	}
	return 0, fmt.Errorf("no code at %#x in the file", addr)
}

// relocations calls each with the address and the value of every pointer that the dynamic linker writes when it moves the image.
// In a file that may be loaded anywhere, the bytes at the address need not have the value.
func (m *image) relocations(each func(addr, value uint64)) error {
	for _, s := range m.file.Sections {
		if s.Type != elf.SHT_RELA || s.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		in := bufio.NewReaderSize(io.NewSectionReader(s, 0, int64(s.FileSize)), pieceSize)
		var entry [relaSize]byte
		for range s.FileSize / relaSize {
			if _, err := io.ReadFull(in, entry[:]); err != nil {
				return fmt.Errorf("read relocations: %w", err)
			}
			if binary.LittleEndian.Uint32(entry[8:]) == m.arch.relative {
				each(binary.LittleEndian.Uint64(entry[:]), binary.LittleEndian.Uint64(entry[16:]))
			}
		}
	}
	return nil
}

// search calls found with the place of every occurrence of a needle in the first size bytes of r, until it returns false.
func search(r io.ReaderAt, size uint64, needle []byte, found func(at uint64) (more bool)) error {
	piece := make([]byte, min(size, pieceSize))
	for base := uint64(0); size-base >= uint64(len(needle)); base += uint64(len(piece) - len(needle) + 1) {
		piece = piece[:min(size-base, uint64(len(piece)))]
		if n, err := r.ReadAt(piece, int64(base)); n < len(piece) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("search in %d bytes: %w", size, err)
		}
		for i := 0; ; i++ {
			next := bytes.Index(piece[i:], needle)
			if next < 0 {
				break
			}
			i += next
			if !found(base + uint64(i)) {
				return nil
			}
		}
	}
	return nil
}
