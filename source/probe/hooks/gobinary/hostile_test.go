package gobinary

import (
	"bytes"
	"debug/elf"
	"io"
	"runtime"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// FuzzFind changes bytes of a real program at one of the places that matter. Whatever is found all the same must be a branch and
// a call.
func FuzzFind(f *testing.F) {
	stripped, _ := build{version: "1.18.10", flags: "-buildmode=pie"}.make(f)
	a := dissect(f, stripped)
	places := []int64{a.info, a.header, a.functab, a.entry, a.module, int64(a.read.Enter), int64(a.Relocations[0].Offset)}
	for i := range places {
		f.Add(uint8(i), uint16(0), []byte{0xff})
		f.Add(uint8(i), uint16(8), le(1<<63))
		f.Add(uint8(i), uint16(24), le(0))
	}
	f.Fuzz(func(t *testing.T, place uint8, offset uint16, change []byte) {
		m := *a.Image
		m.File = patched{m.File, places[int(place)%len(places)] + int64(offset), change}
		found, err := Find(&m)
		if err != nil {
			return
		}
		for _, f := range found.Functions {
			if b := peek(t, m.File, f.Enter); b[0] != 0x76 && !bytes.Equal(b, []byte{0x0f, 0x86}) {
				t.Errorf("%s: % x at Enter is no JBE", f.Name, b)
			}
			if f.Name != Read {
				continue
			}
			if b := peek(t, m.File, f.Copy); b[0] != 0xe8 {
				t.Errorf("% x at Copy is no CALL", b)
			}
		}
	})
}

func peek(t *testing.T, file io.ReaderAt, offset uint64) []byte {
	t.Helper()
	b := make([]byte, 2)
	if _, err := file.ReadAt(b, int64(offset)); err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzPlaces looks for places in any bytes.
func FuzzPlaces(f *testing.F) {
	for _, b := range []build{{version: "1.26.11"}, {version: "1.26.11", flags: "GOARCH=arm64"}} {
		stripped, _ := b.make(f)
		a := dissect(f, stripped)
		code := make([]byte, a.readSize)
		if _, err := a.File.ReadAt(code, int64(a.read.Enter)-8); err != nil {
			f.Fatal(err)
		}
		f.Add(code)
		f.Add(code[4:])
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		for _, machine := range []elf.Machine{elf.EM_X86_64, elf.EM_AARCH64} {
			arch, err := (&Image{Machine: machine}).architecture()
			if err != nil {
				t.Fatal(err)
			}
			enter, calls, err := arch.places(code)
			if err != nil {
				continue
			}
			places := []int{enter}
			for _, c := range calls {
				places = append(places, c.at)
			}
			for _, at := range places {
				if at < 0 || at >= len(code) || at%int(arch.minLC) != 0 {
					t.Errorf("a place at %d of %d", at, len(code))
				}
			}
		}
	})
}

// TestLinear searches in data that is all beginnings of what is searched for.
func TestLinear(t *testing.T) {
	const size = 4 << 20
	head := append([]byte(buildInfoMagic), 8, inlineStrings)
	head = append(head, make([]byte, buildInfoHeader-len(head))...)
	head = append(append(head, 8), "go1.26.3       "...)
	data := append(head, bytes.Repeat([]byte{0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 7}, 2*size/8)...)
	testkit.Linear(t, size, func(size int) {
		m := &Image{File: bytes.NewReader(data), Machine: elf.EM_X86_64}
		m.Segments = []Segment{{Span: Span{0, uint64(size)}, Write: true}}
		m.Relocations = []Span{{0, uint64(size)}}
		if found, err := Find(m); err == nil {
			t.Errorf("found %v", found)
		}
	})
}

// TestOverlappingSegments has more data than the file has bytes.
func TestOverlappingSegments(t *testing.T) {
	m := &Image{File: bytes.NewReader(make([]byte, 1<<10)), Machine: elf.EM_X86_64}
	for range 512 {
		m.Segments = append(m.Segments, Segment{Span: Span{0, 1 << 30}, Write: true})
	}
	if found, err := Find(m); err == nil {
		t.Errorf("found %v", found)
	}
}

// TestMemory bounds what Find allocates, whatever the size of the program.
func TestMemory(t *testing.T) {
	const most = 2 << 20
	stripped, _ := build{version: "1.26.11"}.make(t)
	m := load(t, stripped)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Find(m); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > most {
		t.Errorf("%d bytes were allocated, at most %d", got, most)
	}
}

func BenchmarkFind(b *testing.B) {
	stripped, _ := build{version: "1.26.11", flags: "-buildmode=pie"}.make(b)
	m := load(b, stripped)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Find(m); err != nil {
			b.Fatal(err)
		}
	}
}
