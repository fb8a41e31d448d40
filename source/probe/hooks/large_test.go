package hooks

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// node returns the largest program that is likely to be here: about 100 MB with OpenSSL linked in.
func node(t testing.TB) string {
	path, err := filepath.EvalSymlinks(testkit.Need(t, "node"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNode(t *testing.T) {
	path := node(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	libraries, err := findIn(t, path, Options{})
	runtime.ReadMemStats(&after)
	if errors.Is(err, ErrNoTLS) {
		testkit.Skip(t, "this Node.js uses a shared OpenSSL")
	}
	if err != nil || len(libraries) != 1 || libraries[0].Name != "openssl" {
		t.Fatalf("found %v, %v", libraries, err)
	}
	var programs []Program
	for _, h := range libraries[0].Hooks {
		programs = append(programs, h.Program)
	}
	if !slices.Contains(programs, Read) && !slices.Contains(programs, ReadEx) || libraries[0].Version == "" {
		t.Errorf("version %q, programs %v", libraries[0].Version, programs)
	}
	const most = 8 << 20
	if got := after.TotalAlloc - before.TotalAlloc; got > most {
		t.Errorf("took %d bytes of memory, want at most %d", got, most)
	}
}

func BenchmarkNode(b *testing.B) {
	path := node(b)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = findIn(b, path, Options{})
	}
}

// TestLinear has files that are all names, all constants, all symbols or all jumps.
func TestLinear(t *testing.T) {
	names := bytes.Repeat([]byte("SSL_read\x00gnutls_record_recv_seq\x00"), 1<<14)
	constants := bytes.Repeat([]byte("OpenSSL 3.0.0 ssl_lib.c ssl_lib.c\x00"), 1<<14)
	symbols := bytes.Repeat([]byte{1, 0, 0, 0, 0x12, 0, 1, 0, 0, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1<<17)
	for name, test := range map[string]struct {
		content []byte
		kind    elf.SectionType
	}{
		"names": {names, elf.SHT_STRTAB}, "constants": {constants, elf.SHT_PROGBITS}, "symbols": {symbols, elf.SHT_SYMTAB}, "relocations": {symbols, elf.SHT_RELA},
	} {
		t.Run(name, func(t *testing.T) {
			file, size := withSection(t, test.kind, test.content)
			testkit.Linear(t, len(test.content)/2, func(n int) {
				binary.LittleEndian.PutUint64(size, uint64(n))
				_, _ = Find(bytes.NewReader(file), int64(len(file)), Options{})
			})
		})
	}
}

// withSection adds the content to a small file, as one of its sections, and returns also where the section's size stands.
func withSection(t testing.TB, kind elf.SectionType, content []byte) (file, size []byte) {
	f := pushes("SSL_read", "SSL_connect")
	f.sections = true
	small := f.bytes(t)
	headers := codeOffset + len(f.code)
	for i, section := range []elf.SectionType{elf.SHT_SYMTAB, elf.SHT_STRTAB, elf.SHT_PROGBITS, elf.SHT_RELA} {
		if section == kind {
			headers += 64 * min(i+1, 3)
		}
	}
	file = append(small, content...)
	binary.LittleEndian.PutUint32(file[headers+4:], uint32(kind))
	binary.LittleEndian.PutUint64(file[headers+24:], uint64(len(small)))
	return file, file[headers+32:]
}

func FuzzFind(f *testing.F) {
	seeds := []testFile{pushes("SSL_read", "SSL_write_ex", "SSL_free"), pushes("gnutls_record_recv", "PR_Read", "JLI_Launch")}
	seeds[1].sections = false
	wrappers := testFile{sections: true, code: slices.Concat(machineCode(f, plain), machineCode(f, extended), make([]byte, 256))}
	wrappers.functions = []testFunction{{"SSL_read", 0, 28}, {"SSL_read_ex", 28, 30}}
	seeds = append(seeds, wrappers)
	for _, seed := range seeds {
		f.Add(seed.bytes(f), false)
		f.Add(seed.bytes(f), true)
	}
	f.Fuzz(func(t *testing.T, file []byte, noTrampolines bool) {
		libraries, err := Find(bytes.NewReader(file), int64(len(file)), Options{NoTrampolines: noTrampolines})
		if (err == nil) != (len(libraries) > 0) {
			t.Fatalf("%d libraries, %v", len(libraries), err)
		}
		for _, l := range libraries {
			for _, h := range l.Hooks {
				for _, at := range append([]uint64{h.Enter}, h.Exit...) {
					if at >= uint64(len(file)) {
						t.Fatalf("%s: %#x is beyond the end", h.Symbol, at)
					}
				}
				if h.Program.results() != (len(h.Exit) > 0) {
					t.Errorf("%s: exits %#x", h.Symbol, h.Exit)
				}
			}
		}
	})
}
