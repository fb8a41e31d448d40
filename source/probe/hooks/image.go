package hooks

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// What an ELF file may make us read. The largest programs known (browsers with their symbols) stay below.
const (
	maxSegments = 512
	maxSections = 16 << 10
	maxDynamic  = 4096      // entries of the dynamic section
	maxTable    = 512 << 20 // bytes of a table of symbols, or of their names
	maxRelocate = 64 << 20  // bytes of all relocations
	maxConstant = 1 << 30   // bytes of all constants
	maxCode     = 32 << 10  // bytes of a function
)

// span is a part of the file.
type span struct{ off, size uint64 }

// segment is a part of the file that is mapped into memory.
type segment struct {
	span
	addr        uint64
	exec, write bool
}

// symbolTable is a table of symbols and the table of their names.
type symbolTable struct{ symbols, names span }

// image is what this package needs to know of an ELF file. It keeps offsets, not contents: these are read when they are
// needed, and every one of them may lie.
type image struct {
	file        io.ReaderAt
	size        uint64
	machine     elf.Machine
	segments    []segment
	dynamic     symbolTable // what other files see
	local       symbolTable // what a debugger sees; empty when stripped
	constants   []span      // read-only data
	relocations []span      // tables of Rela64
}

func openImage(file io.ReaderAt, size int64) (*image, error) {
	var h elf.Header64
	img := &image{file: file, size: uint64(max(size, 0))}
	ident := make([]byte, elf.EI_NIDENT)
	if err := img.read(ident, 0); err != nil || !bytes.HasPrefix(ident, []byte(elf.ELFMAG)) {
		return nil, fmt.Errorf("%w: not an ELF file", ErrNoTLS)
	}
	if elf.Class(ident[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(ident[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return nil, fmt.Errorf("%w: only 64-bit little-endian programs are looked into", ErrUnsupported)
	}
	if err := img.decode(&h, 0); err != nil {
		return nil, fmt.Errorf("%w: the ELF header is cut off", ErrNoTLS)
	}
	if t := elf.Type(h.Type); t != elf.ET_EXEC && t != elf.ET_DYN {
		return nil, fmt.Errorf("%w: neither a program nor a shared library", ErrNoTLS)
	}
	img.machine = elf.Machine(h.Machine)
	if img.machine != elf.EM_X86_64 && img.machine != elf.EM_AARCH64 {
		return nil, fmt.Errorf("%w: only programs for x86-64 and arm64 are looked into", ErrUnsupported)
	}
	dynamic, err := img.readSegments(&h)
	if err != nil {
		return nil, err
	}
	if img.readSections(&h); img.dynamic.symbols.size == 0 {
		img.readDynamic(dynamic)
	}
	img.relocations = within(img.relocations, min(img.size, maxRelocate))
	img.constants = within(img.constants, min(img.size, maxConstant))
	return img, nil
}

// readSegments returns where the dynamic section is.
func (img *image) readSegments(h *elf.Header64) (dynamic span, err error) {
	if h.Phnum > maxSegments {
		return span{}, fmt.Errorf("%w: %d segments are more than any program has", ErrUnsupported, h.Phnum)
	}
	headers := make([]elf.Prog64, h.Phnum)
	if err := img.decode(headers, h.Phoff); err != nil {
		return span{}, fmt.Errorf("%w: the program headers are cut off", ErrNoTLS)
	}
	for _, p := range headers {
		in := img.clip(span{p.Off, p.Filesz})
		switch flags := elf.ProgFlag(p.Flags); elf.ProgType(p.Type) {
		case elf.PT_LOAD:
			img.segments = append(img.segments, segment{in, p.Vaddr, flags&elf.PF_X != 0, flags&elf.PF_W != 0})
		case elf.PT_DYNAMIC:
			dynamic = in
		}
	}
	return dynamic, nil
}

// readSections finds the tables by their sections. A file without sections, or with wrong ones, runs as well as others:
// whatever is amiss here only leaves fields empty.
func (img *image) readSections(h *elf.Header64) {
	if h.Shnum > maxSections {
		return
	}
	headers := make([]elf.Section64, h.Shnum)
	if img.decode(headers, h.Shoff) != nil {
		return
	}
	for _, s := range headers {
		in := img.clip(span{s.Off, s.Size})
		switch flags := elf.SectionFlag(s.Flags); elf.SectionType(s.Type) {
		case elf.SHT_SYMTAB, elf.SHT_DYNSYM:
			if s.Link >= uint32(len(headers)) {
				continue
			}
			names := headers[s.Link]
			table := symbolTable{in, img.clip(span{names.Off, names.Size})}
			if elf.SectionType(s.Type) == elf.SHT_DYNSYM {
				img.dynamic = table
			} else {
				img.local = table
			}
		case elf.SHT_RELA:
			img.relocations = append(img.relocations, in)
		case elf.SHT_PROGBITS:
			if flags&(elf.SHF_ALLOC|elf.SHF_WRITE|elf.SHF_EXECINSTR) == elf.SHF_ALLOC {
				img.constants = append(img.constants, in)
			}
		}
	}
}

// readDynamic finds the tables as the dynamic loader does, for files whose sections were removed.
func (img *image) readDynamic(in span) {
	entries := make([]elf.Dyn64, min(in.size/16, maxDynamic))
	if img.decode(entries, in.off) != nil {
		return
	}
	value := make(map[elf.DynTag]uint64)
	for _, e := range entries {
		if tag := elf.DynTag(e.Tag); tag == elf.DT_NULL {
			break
		} else {
			value[tag] = e.Val
		}
	}
	symbols, names := value[elf.DT_SYMTAB], value[elf.DT_STRTAB]
	if names <= symbols {
		return // the number of symbols is written nowhere; every linker puts the names behind them
	}
	img.dynamic = symbolTable{img.mapped(symbols, names-symbols), img.mapped(names, value[elf.DT_STRSZ])}
	img.relocations = []span{img.mapped(value[elf.DT_RELA], value[elf.DT_RELASZ]), img.mapped(value[elf.DT_JMPREL], value[elf.DT_PLTRELSZ])}
	for _, s := range img.segments {
		if !s.write {
			img.constants = append(img.constants, s.span)
		}
	}
}

// mapped returns the part of the file that is in memory at an address, as far as it goes.
func (img *image) mapped(addr, size uint64) span {
	for _, s := range img.segments {
		if addr >= s.addr && addr-s.addr < s.size {
			return span{s.off + addr - s.addr, min(size, s.size-(addr-s.addr))}
		}
	}
	return span{}
}

// offset translates the address of an instruction into its offset in the file. It fails for what is not executed.
func (img *image) offset(addr uint64) (uint64, bool) {
	for _, s := range img.segments {
		if s.exec && addr >= s.addr && addr-s.addr < s.size {
			return s.off + addr - s.addr, true
		}
	}
	return 0, false
}

// code returns the instructions at an address: size bytes, or fewer where the segment ends.
func (img *image) code(addr, size uint64) []byte {
	for _, s := range img.segments {
		if s.exec && addr >= s.addr && addr-s.addr < s.size {
			b := make([]byte, min(size, maxCode, s.size-(addr-s.addr)))
			if img.read(b, s.off+addr-s.addr) != nil {
				return nil
			}
			return b
		}
	}
	return nil
}

// clip cuts off what is beyond the end of the file, or too much.
func (img *image) clip(s span) span {
	if s.off >= img.size {
		return span{}
	}
	return span{s.off, min(s.size, img.size-s.off)}
}

// within keeps as much as the total allows. Parts of an honest file don't overlap, and so are not larger than it.
func within(spans []span, total uint64) []span {
	for i := range spans {
		spans[i].size = min(spans[i].size, total)
		total -= spans[i].size
	}
	return spans
}

// read fills b, or fails.
func (img *image) read(b []byte, off uint64) error {
	if off > math.MaxInt64 {
		return io.ErrUnexpectedEOF
	}
	n, err := img.file.ReadAt(b, int64(off))
	if n == len(b) {
		return nil
	}
	return err
}

// decode fills a structure, or a slice of structures, of fixed size.
func (img *image) decode(to any, off uint64) error {
	b := make([]byte, binary.Size(to))
	if err := img.read(b, off); err != nil {
		return err
	}
	_, err := binary.Decode(b, binary.LittleEndian, to)
	return err
}
