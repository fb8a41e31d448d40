package gobinary

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
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

	maxCandidates = 8 // places that have the address of the pclntab: there is one
)

type moduledata [mdWords]uint64

// textStart returns runtime.text, from which the pclntab counts. The pclntab itself no longer has it since Go 1.26, and the
// section .text begins earlier if C code was linked. Only the moduledata has it in all versions: it is found by its first word,
// and trusted if everything else in it fits the pclntab.
func (m *image) textStart(t *pclntab) (uint64, error) {
	candidates, err := m.moduledataAddresses(t)
	if err != nil {
		return 0, err
	}
	modules, err := m.moduledata(candidates)
	if err != nil {
		return 0, err
	}
	for _, md := range modules {
		if !md.fits(t) {
			continue
		}
		if t.textStart != 0 && t.textStart != md[mdText] {
			return 0, fmt.Errorf("the text starts at %#x by the function table, at %#x by the module data", t.textStart, md[mdText])
		}
		return md[mdText], nil
	}
	return 0, errors.New("no module data")
}

// moduledataAddresses returns all places that have, or will have once relocated, the address of the pclntab.
func (m *image) moduledataAddresses(t *pclntab) (found []uint64, err error) {
	add := func(addr uint64) {
		if addr%8 == 0 && len(found) < maxCandidates {
			found = append(found, addr)
		}
	}
	needle := binary.LittleEndian.AppendUint64(nil, t.addr)
	for _, p := range m.segments {
		if p.Flags&elf.PF_W == 0 {
			continue
		}
		err := search(p, p.Filesz, needle, func(at uint64) bool {
			add(p.Vaddr + at)
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	err = m.relocations(func(addr, value uint64) {
		if value == t.addr {
			add(addr)
		}
	})
	return found, err
}

// moduledata reads the candidates, and relocates them. What can't be read stays zero.
func (m *image) moduledata(addresses []uint64) ([]moduledata, error) {
	modules := make([]moduledata, len(addresses))
	for i, addr := range addresses {
		var b [8 * mdWords]byte
		if m.read(addr, b[:]) != nil {
			continue
		}
		for word := range modules[i] {
			modules[i][word] = binary.LittleEndian.Uint64(b[8*word:])
		}
	}
	err := m.relocations(func(addr, value uint64) {
		for i, start := range addresses {
			if at := addr - start; at < 8*mdWords && at%8 == 0 {
				modules[i][at/8] = value
			}
		}
	})
	return modules, err
}

// fits tells whether this is the module data of a pclntab.
func (md *moduledata) fits(t *pclntab) bool {
	functab := t.addr + t.functab
	return md[mdHeader] == t.addr && md[mdNames] == t.addr+t.names &&
		md[mdPclntable] == functab && md[mdFunctab] == functab && md[mdFunctab+1] == t.nfunc+1 &&
		md[mdText] <= md[mdMinPC] && md[mdMinPC] < md[mdMaxPC] && md[mdMaxPC] <= md[mdTextEnd]
}
