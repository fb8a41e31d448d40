package gobinary

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// patched is a file in which some bytes are others.
type patched struct {
	io.ReaderAt
	at    int64
	bytes []byte
}

func (p patched) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(b, off)
	for i := range p.bytes {
		if at := p.at + int64(i) - off; at >= 0 && at < int64(n) {
			b[at] = p.bytes[i]
		}
	}
	return n, err
}

// anatomy is where in the file of a program the things are that Find reads.
type anatomy struct {
	*Image
	info, header, functab, entry, module int64
	text                                 uint64
	read                                 Function
	readSize                             int64
}

// dissect reads a whole program: only tests may.
func dissect(t testing.TB, path string) (a anatomy) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a.Image = image(t, bytes.NewReader(content))
	arch, err := a.architecture()
	if err != nil {
		t.Fatal(err)
	}
	table, text, err := a.Image.module(arch)
	if err != nil {
		t.Fatal(err)
	}
	names, err := table.offsets()
	if err != nil {
		t.Fatal(err)
	}
	extents, err := table.extents(map[string]uint32{Read: names[Read]})
	if err != nil {
		t.Fatal(err)
	}
	places, err := a.pointersTo(arch, []*pclntab{table})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range find(t, path).Functions {
		if f.Name == Read {
			a.read = f
		}
	}
	a.text, a.readSize = text, int64(extents[0].end-extents[0].start)
	a.info = int64(bytes.LastIndex(content, []byte(buildInfoMagic)))
	a.header = int64(fileOffset(t, a.Image, table.addr))
	a.functab = a.header + int64(table.functab)
	a.entry = a.functab + int64(bytes.Index(content[a.functab:], binary.LittleEndian.AppendUint32(nil, extents[0].start)))
	a.module = int64(fileOffset(t, a.Image, places[0]))
	return a
}

func le(word uint64) []byte   { return binary.LittleEndian.AppendUint64(nil, word) }
func le32(word uint32) []byte { return binary.LittleEndian.AppendUint32(nil, word) }

// TestRefuses changes a few bytes of a real program. What is left does not validate any more, and must give an error that says what.
func TestRefuses(t *testing.T) {
	stripped, _ := build{version: "1.26.11"}.make(t)
	a := dissect(t, stripped)
	start := a.read.Enter - 4 // before it: CMP RSP, [R14+16]
	start32 := uint32(start - fileOffset(t, a.Image, a.text))
	distance := make([]byte, 1) // of the jump to where the stack grows
	if _, err := a.File.ReadAt(distance, int64(a.read.Enter+2)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		at    int64
		bytes []byte
		want  string
	}{
		{"version before 1.18", a.info + 15, []byte{0}, "older than 1.18"},
		{"version of no length", a.info + buildInfoHeader, []byte{0}, "has no version"},
		{"version of great length", a.info + buildInfoHeader, bytes.Repeat([]byte{0xff}, 10), "has no version"},
		{"version with a line feed", a.info + buildInfoHeader + 1, []byte("\n"), `not text: "\no1.26.11"`},

		{"magic of Go 1.16", a.header, []byte{0xfa}, "no function table"},
		{"pointers of 4 bytes", a.header + 7, []byte{4}, "no function table"},
		{"no functions", a.header + 8, le(0), "no function table"},
		{"too many functions", a.header + 8, le(math.MaxUint64), "no function table"},
		{"one function less", a.header + 8, le(1), "no module data"},
		{"text start of its own", a.header + 24, le(a.text + 16), "no module data"},
		{"names elsewhere", a.header + 32, le(headerSize + 8), "no module data"},
		{"names beyond the table", a.header + 32, le(math.MaxInt64), "no function table"},
		{"functions elsewhere", a.header + 64, le(maxTable), "no module data"},

		{"module data of another table", a.module, le(1), "no module data"},
		{"text later", a.module + wordSize*mdText, le(a.text + 16), "no module data"},
		{"text earlier", a.module + wordSize*mdText, le(a.text - 16), "examine crypto/tls.(*Conn)."},
		{"text nowhere", a.module + wordSize*mdText, le(0), "no code of the file is at"},

		{"function of no size", a.entry + 8, le32(start32), "begins at"},
		{"function of great size", a.entry + 8, le32(start32 + maxCode + 1), "begins at"},
		{"function that ends before", a.entry + 8, le32(1), "begins at"},
		{"function that ends in the middle", a.entry + 8, le32(start32 + uint32(a.readSize)/2), "a jump leads to"},
		{"function that begins later", a.entry, le32(start32 + 4), "does not begin with a stack check"},
		{"function that begins earlier", a.entry, le32(start32 - 1), "does not begin with a stack check"},
		{"description far away", a.entry + 4, le32(math.MaxUint32), "read function table: EOF"},
		{"description before the others", a.entry + 4, le32(0), "not in order"},

		{"other stack check", int64(start), []byte{0x49, 0x3b, 0x66, 0x18}, "does not begin with a stack check"}, // CMP RSP, [R14+24]
		{"no stack check", int64(start), []byte{0x90}, "does not begin with a stack check"},
		{"breakpoint of a debugger", int64(start), []byte{0xcc}, "does not begin with a stack check"},
		{"unknown instruction", int64(a.read.Enter + 6), []byte{0x0f, 0x0b + 1}, "decode instruction"},
		{"another call for the copy", int64(a.read.Copy + 1), le32(0), "calls runtime.memmove 0 times"},
		{"jump out", int64(a.read.Enter + 2), le32(0x7fffff), "a jump leads to"},
		{"jump into an instruction", int64(a.read.Enter + 2), []byte{distance[0] + 1}, "a jump leads to"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := *a.Image
			m.File = patched{m.File, tc.at, tc.bytes}
			found, err := Find(&m)
			if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, %v; want an error with %q", found, err, tc.want)
			}
		})
	}
}

// TestRefusesReturns removes what only checkFlow sees.
func TestRefusesReturns(t *testing.T) {
	stripped, _ := build{version: "1.26.11"}.make(t)
	a := dissect(t, stripped)
	start := int64(a.read.Enter) - 4
	code := make([]byte, a.readSize)
	if _, err := a.File.ReadAt(code, start); err != nil {
		t.Fatal(err)
	}
	m := *a.Image
	for at := 0; at < len(code); {
		in, err := x86asm.Decode(code[at:], 64)
		if err != nil {
			t.Fatal(err)
		}
		if in.Op == x86asm.RET {
			m.File = patched{m.File, start + int64(at), []byte{0x90}}
		}
		at += in.Len
	}
	if _, err := Find(&m); err == nil || !strings.Contains(err.Error(), "never returns") {
		t.Errorf("without returns: %v", err)
	}
}
