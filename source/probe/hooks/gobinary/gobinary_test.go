package gobinary

import (
	"debug/elf"
	_ "embed"
	"io"
	"os"
	"os/exec"
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

// builds are all kinds of programs for three versions. The kinds differ in how code and tables are laid out, the versions in the
// form of the tables.
func builds() (all []build) {
	for _, v := range []string{"1.18.10", "1.22.12", "1.26.11"} {
		all = append(all,
			build{"static", v, "", ""},
			build{"pie", v, "-buildmode=pie", ""},
			build{"external", v, "CGO_ENABLED=1", "-linkmode=external"},
			build{"external pie", v, "CGO_ENABLED=1 -buildmode=pie", "-linkmode=external"},
			build{"arm64", v, "GOARCH=arm64", ""},
		)
	}
	return all
}

func TestFindsWhatObjdumpSays(t *testing.T) {
	for _, b := range builds() {
		t.Run(b.version+" "+b.name, func(t *testing.T) {
			t.Parallel()
			stripped, twin := b.make(t)
			found, err := Find(load(t, stripped))
			if err != nil {
				t.Fatal(err)
			}
			if found.Version != "go"+b.version {
				t.Errorf("version %s", found.Version)
			}
			checkAgainstObjdump(t, found, twin)
		})
	}
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

// checkAgainstObjdump compares with what Go's own disassembler reads out of a twin that has symbols.
func checkAgainstObjdump(t *testing.T, found *Binary, twin string) {
	t.Helper()
	out, err := exec.Command("go", "tool", "objdump", "-s", `^crypto/tls\.\(\*Conn\)\.(Read|Write|Close)$`, twin).Output()
	if err != nil {
		t.Fatal(err)
	}
	layout := load(t, twin)
	want := map[string]*Function{}
	var f *Function
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(line, "TEXT "); ok {
			f = &Function{Name: name[:strings.Index(name, "(SB)")]}
			want[f.Name] = f
		}
		column := strings.Fields(line)
		if len(column) < 4 || f == nil {
			continue
		}
		addr, err := strconv.ParseUint(column[1], 0, 64)
		if err != nil {
			continue
		}
		switch column[3] {
		case "JBE", "JLS", "BLS":
			if f.Enter == 0 {
				f.Enter = fileOffset(t, layout, addr)
			}
		case "RET":
			f.Returns = append(f.Returns, fileOffset(t, layout, addr))
		}
	}
	got := map[string]*Function{}
	for _, f := range found.Functions {
		got[f.Name] = &f
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 3 {
		t.Errorf("objdump (-) and Find (+) differ: %s", diff)
	}
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
