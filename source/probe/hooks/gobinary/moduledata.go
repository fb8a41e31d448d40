package gobinary

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// The begin of a runtime.moduledata, the same from Go 1.18 to 1.27, in words (runtime/symtab.go). Three words are a slice.
const (
	mdHeader    = 0  // address of the pclntab
	mdNames     = 1  // slice of the names
	mdPclntable = 13 // slice of the functab and all that follows
	mdFunctab   = 16 // slice of the functab
	mdMinPC     = 20
	mdMaxPC     = 21
	mdText      = 22
	mdTextEnd   = 23
	mdWords     = 24

	wordSize  = 8
	maxPlaces = 16 // that have the address of a pclntab: there is one
)

type moduledata [mdWords]uint64

// module returns the table that is the program's own, and runtime.text, from which it counts. Since Go 1.26 the table itself no
// longer has that, and the section .text begins earlier if C code was linked; only the moduledata has it in all versions. It is
// found by its first word, and trusted if everything else in it fits the table.
func (m *Image) module(arch architecture) (*pclntab, uint64, error) {
	reason := errors.New("no function table of a known form")
	for _, kind := range []func(Segment) bool{constants, code} { // some linkers put constants next to code
		tables, err := m.pclntabs(arch, kind)
		if err != nil {
			return nil, 0, err
		}
		if len(tables) == 0 {
			continue
		}
		modules, err := m.moduledata(arch, tables)
		if err != nil {
			return nil, 0, err
		}
		for _, md := range modules {
			if i := slices.IndexFunc(tables, md.fits); i >= 0 {
				return tables[i], md[mdText], nil
			}
		}
		reason = errors.New("no module data")
	}
	return nil, 0, reason
}

// pointersTo returns all places that have, or will have once relocated, the address of one of the tables.
func (m *Image) pointersTo(arch architecture, tables []*pclntab) (places []uint64, err error) {
	see := func(addr, value uint64) {
		if addr%wordSize == 0 && len(places) < maxPlaces && slices.ContainsFunc(tables, func(t *pclntab) bool { return t.addr == value }) {
			places = append(places, addr)
		}
	}
	segments, err := m.segments(writable)
	if err != nil {
		return nil, err
	}
	for _, s := range segments {
		if err := m.words(s, see); err != nil {
			return nil, err
		}
	}
	return places, m.relocations(arch.relative, see)
}

// words calls each with every word of a segment.
func (m *Image) words(s Segment, each func(addr, value uint64)) error {
	in := m.reader(s.Span)
	piece := make([]byte, pieceSize)
	skip := -s.Addr % wordSize
	for at := skip; at+wordSize <= s.Size; at += pieceSize {
		n, err := in.ReadAt(piece, int64(at))
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for i := 0; i+wordSize <= n; i += wordSize {
			each(s.Addr+at+uint64(i), binary.LittleEndian.Uint64(piece[i:]))
		}
	}
	return nil
}

// moduledata reads what begins with the address of one of the tables, and relocates it. What can't be read stays zero.
func (m *Image) moduledata(arch architecture, tables []*pclntab) ([]moduledata, error) {
	places, err := m.pointersTo(arch, tables)
	if err != nil {
		return nil, err
	}
	modules := make([]moduledata, len(places))
	for i, addr := range places {
		var b [wordSize * mdWords]byte
		if m.read(addr, b[:]) != nil {
			continue
		}
		for word := range modules[i] {
			modules[i][word] = binary.LittleEndian.Uint64(b[wordSize*word:])
		}
	}
	err = m.relocations(arch.relative, func(addr, value uint64) {
		for i, start := range places {
			if at := addr - start; at < wordSize*mdWords && at%wordSize == 0 {
				modules[i][at/wordSize] = value
			}
		}
	})
	return modules, err
}

// fits tells whether this is the module data of a table.
func (md *moduledata) fits(t *pclntab) bool {
	functab := t.addr + t.functab
	return md[mdHeader] == t.addr && md[mdNames] == t.addr+t.names &&
		md[mdPclntable] == functab && md[mdFunctab] == functab && md[mdFunctab+1] == t.nfunc+1 &&
		md[mdText] <= md[mdMinPC] && md[mdMinPC] < md[mdMaxPC] && md[mdMaxPC] <= md[mdTextEnd] &&
		(t.textStart == 0 || t.textStart == md[mdText])
}
