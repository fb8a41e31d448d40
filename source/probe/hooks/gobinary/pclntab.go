package gobinary

import (
	"bufio"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The pclntab, the table by which Go finds functions by address and names by function. It is in every program, however stripped.
// Its forms: runtime/symtab.go (pcHeader, functab), runtime/runtime2.go (_func), cmd/link/internal/ld/pcln.go.
const (
	magic118 = 0xfffffff0 // Go 1.18 and 1.19
	magic120 = 0xfffffff1 // Go 1.20 and later

	headerSize   = 72
	functabEntry = 8       // entry offset, offset of the _func: 32 bits each
	funcName     = 4       // where a _func has the offset of its name: 32 bits, after those of the entry
	maxFunctions = 1 << 22 // the largest programs known have a tenth
	maxCode      = 1 << 16 // of one of our functions: they have some 2 KiB
)

// pclntab is a table's header: addresses in the image.
type pclntab struct {
	image     *image
	addr      uint64
	nfunc     uint64
	textStart uint64 // 0 since Go 1.26, and where the dynamic linker writes it
	names     uint64 // offsets from addr
	namesEnd  uint64
	functab   uint64
}

// pclntab finds the table. A linker for position-independent code may have put it into a section with other things.
func (m *image) pclntab() (*pclntab, error) {
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
		if s := m.file.Section(name); s != nil {
			if t := m.header(s.Addr); t != nil {
				return t, nil
			}
			return nil, errors.New("the function table is of an unknown form")
		}
	}
	for _, magic := range []uint32{magic120, magic118} {
		needle := binary.LittleEndian.AppendUint32(nil, magic)
		needle = append(needle, 0, 0, m.arch.minLC, 8)
		if t, err := m.searchTable(needle); t != nil || err != nil {
			return t, err
		}
	}
	return nil, errors.New("no function table")
}

// searchTable looks for the begin of a table wherever data is.
func (m *image) searchTable(needle []byte) (t *pclntab, err error) {
	for _, p := range m.segments {
		if p.Flags&elf.PF_X != 0 {
			continue
		}
		err := search(p, p.Filesz, needle, func(at uint64) bool {
			if (p.Vaddr+at)%8 == 0 {
				t = m.header(p.Vaddr + at)
			}
			return t == nil
		})
		if t != nil || err != nil {
			return t, err
		}
	}
	return nil, nil
}

// header reads a header. It returns nil if there is none at the address, or an impossible one.
func (m *image) header(addr uint64) *pclntab {
	var b [headerSize]byte
	if m.read(addr, b[:]) != nil {
		return nil
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	magic := binary.LittleEndian.Uint32(b[:])
	known := (magic == magic118 || magic == magic120) && b[4] == 0 && b[5] == 0 && b[6] == m.arch.minLC && b[7] == 8
	t := &pclntab{image: m, addr: addr, nfunc: word(1), textStart: word(3), names: word(4), namesEnd: word(5), functab: word(8)}
	if !known || t.nfunc == 0 || t.nfunc > maxFunctions || t.names < headerSize || t.names > t.namesEnd || t.namesEnd > t.functab {
		return nil
	}
	if _, err := m.section(addr, t.functab+t.nfunc*functabEntry+functabEntry/2); t.functab > 1<<40 || err != nil {
		return nil
	}
	return t
}

// offsets returns where the names that are looked for are in the table of names; a name that is not there is left out.
func (t *pclntab) offsets() (map[string]uint32, error) {
	size := t.namesEnd - t.names
	names, err := t.image.section(t.addr+t.names, size)
	if err != nil {
		return nil, err
	}
	found := map[string]uint32{}
	err = search(names, size, []byte("\x00"+connMethod), func(at uint64) bool {
		b := make([]byte, len("\x00"+Write+"\x00"))
		n, _ := names.ReadAt(b, int64(at))
		name, _, ended := strings.Cut(string(b[1:max(n, 1)]), "\x00")
		if ended && (name == Read || name == Write || name == Close) {
			found[name] = uint32(at + 1)
		}
		return len(found) < 3
	})
	return found, err
}

// extent is where a function is: offsets from the start of the text.
type extent struct {
	name       string
	start, end uint32
}

// extents finds functions by the offsets of their names. The table and what it points to are in the order of the addresses, so
// that one pass does.
func (t *pclntab) extents(names map[string]uint32) ([]extent, error) {
	byOffset := map[uint32]string{}
	for name, offset := range names {
		byOffset[offset] = name
	}
	entries, funcs, err := t.cursors()
	if err != nil {
		return nil, err
	}
	var found []extent
	start, err := entries.next()
	for i := uint64(0); i < t.nfunc && len(found) < len(names) && err == nil; i++ {
		var at, end, name uint32
		if at, err = entries.next(); err != nil {
			break
		}
		if end, err = entries.next(); err != nil {
			break
		}
		if name, err = funcs.after(uint64(at) + funcName); err != nil {
			break
		}
		if wanted, ok := byOffset[name]; ok {
			if end <= start || end-start > maxCode {
				return nil, fmt.Errorf("%s begins at %#x and ends at %#x", wanted, start, end)
			}
			delete(byOffset, name)
			found = append(found, extent{wanted, start, end})
		}
		start = end
	}
	if err != nil {
		return nil, fmt.Errorf("read function table: %w", err)
	}
	return found, nil
}

// cursors returns one for the function table, and one for the _func structures that it points to.
func (t *pclntab) cursors() (entries, funcs *cursor, err error) {
	table := t.addr + t.functab
	size := t.nfunc*functabEntry + functabEntry/2
	in, err := t.image.section(table, size)
	if err != nil {
		return nil, nil, err
	}
	rest, err := t.image.after(table)
	if err != nil {
		return nil, nil, err
	}
	return &cursor{in: bufio.NewReaderSize(in, pieceSize)}, &cursor{in: bufio.NewReaderSize(rest, pieceSize)}, nil
}

// cursor reads numbers of 32 bits, only ever forward.
type cursor struct {
	in *bufio.Reader
	at uint64
}

func (c *cursor) next() (uint32, error) { return c.after(c.at) }

// after reads the number at an offset, which must not be before the end of the last one.
func (c *cursor) after(offset uint64) (uint32, error) {
	if offset < c.at {
		return 0, errors.New("it is not in order")
	}
	if _, err := c.in.Discard(int(offset - c.at)); err != nil {
		return 0, err
	}
	var b [4]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return 0, err
	}
	c.at = offset + uint64(len(b))
	return binary.LittleEndian.Uint32(b[:]), nil
}
