package gobinary

import (
	"debug/elf"
	_ "embed"
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
			file := open(t, stripped)
			if symbols, err := file.Symbols(); err == nil {
				t.Fatalf("the program has %d symbols", len(symbols))
			}
			found, err := Find(file)
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

func open(t testing.TB, path string) *elf.File {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// checkAgainstObjdump compares with what Go's own disassembler reads out of a twin that has symbols.
func checkAgainstObjdump(t *testing.T, found *Binary, twin string) {
	t.Helper()
	out, err := exec.Command("go", "tool", "objdump", "-s", `^crypto/tls\.\(\*Conn\)\.(Read|Write|Close)$`, twin).Output()
	if err != nil {
		t.Fatal(err)
	}
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
				f.Enter = fileOffset(t, twin, addr)
			}
		case "RET":
			f.Returns = append(f.Returns, fileOffset(t, twin, addr))
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
func fileOffset(t testing.TB, path string, addr uint64) uint64 {
	t.Helper()
	for _, p := range open(t, path).Progs {
		if p.Type == elf.PT_LOAD && addr >= p.Vaddr && addr-p.Vaddr < p.Filesz {
			return p.Off + addr - p.Vaddr
		}
	}
	t.Fatalf("%#x is not in %s", addr, path)
	return 0
}
