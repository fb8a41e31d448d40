package gobinary

import (
	"debug/elf"
	_ "embed"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

//go:embed testdata/conversation.go
var conversation string

// build is a way to make a program. Without -s and -w it has a symbol table.
type build struct {
	name, version  string
	flags, ldflags string
}

// make returns the program, and its twin that has a symbol table.
func (b build) make(t testing.TB) (stripped, twin string) {
	flags := strings.Fields(b.flags)
	return testkit.GoBuild(t, b.version, append(flags, "-ldflags=-s -w "+b.ldflags), conversation),
		testkit.GoBuild(t, b.version, append(flags, "-ldflags="+b.ldflags), conversation)
}

// everyRelease asks for all releases instead of some: their toolchains are a gigabyte.
var everyRelease = flag.Bool("every-release", false, "test programs of every release of Go, of each kind")

// releases are the last of each version that the package is made for. The form of the tables changed with 1.20 and 1.26, the stack
// check of arm64 with 1.19, the module data behind what is read with each of them.
var releases = []string{
	"1.18.10", "1.19.13", "1.20.14", "1.21.13", "1.22.12", "1.23.12", "1.24.13", "1.25.14", "1.26.11", "1.27.4",
}

// builds are the kinds of programs, which differ in how code and tables are laid out, for the releases that are tested always.
func builds() []build {
	const external, gcc = "-linkmode=external", "CGO_ENABLED=1" // C code is linked in, by C's linker
	all := []build{
		{"static", "1.18.10", "", ""}, {"static", "1.22.12", "", ""}, {"static", "1.26.11", "", ""}, {"static", "1.27.4", "", ""},
		{"pie", "1.18.10", "-buildmode=pie", ""}, {"pie", "1.26.11", "-buildmode=pie", ""},
		{"external pie", "1.22.12", gcc + " -buildmode=pie", external}, {"external", "1.26.11", gcc, external},
		{"arm64", "1.18.10", "GOARCH=arm64", ""}, {"arm64", "1.26.11", "GOARCH=arm64", ""},
	}
	if !*everyRelease {
		return all
	}
	kinds := map[string]build{}
	for _, b := range all {
		kinds[b.name] = b
	}
	all = nil
	for _, v := range releases {
		for _, b := range kinds {
			b.version = v
			all = append(all, b)
		}
	}
	return all
}

func TestFindsWhatObjdumpSays(t *testing.T) {
	for _, b := range builds() {
		t.Run(b.version+" "+b.name, func(t *testing.T) {
			t.Parallel()
			stripped, twin := b.make(t)
			found := find(t, stripped)
			if found.Version != "go"+b.version {
				t.Errorf("version %s", found.Version)
			}
			if diff := cmp.Diff(objdump(t, twin), found.Functions); diff != "" {
				t.Errorf("objdump (-) and Find (+) differ: %s", diff)
			}
		})
	}
}

// TestStrip removes the symbols with another tool than Go's.
func TestStrip(t *testing.T) {
	t.Parallel()
	_, twin := build{version: "1.22.12"}.make(t)
	program := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command(testkit.Need(t, "strip"), "-o", program, twin).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(find(t, twin), find(t, program)); diff != "" {
		t.Error(diff)
	}
}

// TestConstantsNextToCode maps a program as linkers do that do not give constants a segment of their own.
func TestConstantsNextToCode(t *testing.T) {
	t.Parallel()
	stripped, _ := build{version: "1.26.11"}.make(t)
	m := load(t, stripped)
	for i := range m.Segments {
		m.Segments[i].Exec = !m.Segments[i].Write
	}
	found, err := Find(m)
	if diff := cmp.Diff(find(t, stripped), found); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}

// TestOtherPrograms has what Find must not take for a program with crypto/tls.
func TestOtherPrograms(t *testing.T) {
	hello := testkit.GoBuild(t, "1.22.12", nil, "package main\n\nfunc main() { println(\"crypto/tls.(*Conn).Read\") }\n")
	for _, tc := range []struct {
		path string
		want error
	}{
		{"/bin/sh", ErrNotGo},
		{hello, ErrNoTLS},
	} {
		if found, err := Find(load(t, tc.path)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, %v, want %v", tc.path, found, err, tc.want)
		}
	}
}

// find is Find for a program in which there is all of crypto/tls.
func find(t testing.TB, path string) *Binary {
	t.Helper()
	found, err := Find(load(t, path))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var names []string
	for _, f := range found.Functions {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{Close, Read, Write}, names); diff != "" {
		t.Fatal(diff)
	}
	return found
}

// load maps a program.
func load(t testing.TB, path string) *Image {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return image(t, file)
}

func image(t testing.TB, file io.ReaderAt) *Image {
	t.Helper()
	program, err := elf.NewFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := &Image{File: file, Machine: program.Machine}
	for _, p := range program.Progs {
		if p.Type == elf.PT_LOAD {
			m.Segments = append(m.Segments, Segment{Span{p.Off, p.Filesz}, p.Vaddr, p.Flags&elf.PF_X != 0, p.Flags&elf.PF_W != 0})
		}
	}
	for _, s := range program.Sections {
		if s.Type == elf.SHT_RELA {
			m.Relocations = append(m.Relocations, Span{s.Offset, s.FileSize})
		}
	}
	return m
}

// objdump reads out of a program with symbols what Go's own disassembler says of the functions, in the order of their addresses.
func objdump(t testing.TB, program string) (functions []Function) {
	t.Helper()
	out, err := exec.Command("go", "tool", "objdump", "-s", `^crypto/tls\.\(\*Conn\)\.(Read|Write|Close)$`, program).Output()
	if err != nil {
		t.Fatal(err)
	}
	layout := load(t, program)
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(line, "TEXT "); ok {
			functions = append(functions, Function{Name: name[:strings.Index(name, "(SB)")]})
		}
		column := strings.Fields(line) // file:line, address, bytes, instruction
		if len(column) < 4 || len(functions) == 0 {
			continue
		}
		addr, err := strconv.ParseUint(column[1], 0, 64)
		if err != nil {
			continue
		}
		f := &functions[len(functions)-1]
		switch column[3] {
		case "JBE", "BLS":
			if f.Enter == 0 {
				f.Enter = fileOffset(t, layout, addr)
			}
		case "CALL":
			if f.Name == Read && column[4] == memmove+"(SB)" {
				f.Copy = fileOffset(t, layout, addr)
			}
		}
	}
	return functions
}

// fileOffset returns where an address is in a file.
func fileOffset(t testing.TB, m *Image, addr uint64) uint64 {
	t.Helper()
	for _, s := range m.Segments {
		if addr >= s.Addr && addr-s.Addr < s.Size {
			return s.Offset + addr - s.Addr
		}
	}
	t.Fatalf("%#x is not in the file", addr)
	return 0
}
