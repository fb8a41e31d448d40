package hooks

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"
)

// Where the code of a testFile is: in the file, and in memory.
const (
	codeOffset = 0x1000
	codeAddr   = 0x11000
)

// testFile is an ELF file with what a test needs.
type testFile struct {
	machine   elf.Machine // x86-64 if 0
	code      []byte
	functions []testFunction
	local     bool // the symbols are for debuggers
	sections  bool // there are sections; else the dynamic section tells where the symbols are
	constants string
}

// testFunction is a function at an offset of the code, or imported if that is negative.
type testFunction struct {
	name     string
	at, size int
}

// bytes lays out the file: header, program headers, tables, code, section headers.
func (f testFile) bytes(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&out, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	machine := f.machine
	if machine == 0 {
		machine = elf.EM_X86_64
	}
	symbols, strings := f.tables()
	const headers = 64 + 3*56
	symbolsAt, stringsAt := uint64(headers), uint64(headers+len(symbols))
	constantsAt := stringsAt + uint64(len(strings))
	dynamicAt := constantsAt + uint64(len(f.constants))
	sectionsAt := uint64(codeOffset + len(f.code))
	const memory = codeAddr - codeOffset
	dynamic := []elf.Dyn64{
		{Tag: int64(elf.DT_SYMTAB), Val: memory + symbolsAt},
		{Tag: int64(elf.DT_STRTAB), Val: memory + stringsAt},
		{Tag: int64(elf.DT_STRSZ), Val: uint64(len(strings))},
		{},
	}
	if dynamicAt+uint64(16*len(dynamic)) > codeOffset {
		t.Fatalf("%d bytes of tables are more than this layout has room for", dynamicAt)
	}
	symbolSection := elf.SHT_DYNSYM
	if f.local {
		symbolSection = elf.SHT_SYMTAB
	}
	sections := []elf.Section64{
		{},
		{Type: uint32(symbolSection), Off: symbolsAt, Size: uint64(len(symbols)), Link: 2},
		{Type: uint32(elf.SHT_STRTAB), Off: stringsAt, Size: uint64(len(strings))},
		{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC), Off: constantsAt, Size: uint64(len(f.constants))},
	}
	if !f.sections {
		sections = nil
	}
	put(elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_DYN), Machine: uint16(machine), Phoff: 64, Phnum: 3, Shoff: sectionsAt, Shnum: uint16(len(sections)),
	})
	put([]elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Vaddr: memory, Filesz: codeOffset},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Off: codeOffset, Vaddr: codeAddr, Filesz: uint64(len(f.code))},
		{Type: uint32(elf.PT_DYNAMIC), Off: dynamicAt, Filesz: uint64(16 * len(dynamic))},
	})
	put(symbols)
	put(strings)
	put([]byte(f.constants))
	put(dynamic)
	put(make([]byte, codeOffset-out.Len()))
	put(f.code)
	put(sections)
	return out.Bytes()
}

// tables returns the symbols and their names.
func (f testFile) tables() (symbols, names []byte) {
	var out bytes.Buffer
	names = []byte{0}
	all := []elf.Sym64{{}}
	for _, fn := range f.functions {
		s := elf.Sym64{Name: uint32(len(names)), Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC)}
		if fn.at >= 0 {
			s.Shndx, s.Value, s.Size = 1, codeAddr+uint64(fn.at), uint64(fn.size)
		}
		names = append(append(names, fn.name...), 0)
		all = append(all, s)
	}
	_ = binary.Write(&out, binary.LittleEndian, all)
	return out.Bytes(), names
}

func (f testFile) find(t testing.TB, opts Options) ([]Library, error) {
	t.Helper()
	b := f.bytes(t)
	return Find(bytes.NewReader(b), int64(len(b)), opts)
}
