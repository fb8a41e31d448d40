package gobinary

import (
	"bufio"
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
	funcName     = 4       // where a _func has the offset of its name: 32 bits, after those of the entry
	maxFunctions = 1 << 22 // the largest programs known have a tenth
	maxTable     = 1 << 30 // bytes before the functab
	maxTables    = 64      // places in a segment that look like the begin of a table
	maxCode      = 1 << 16 // of one of our functions: they have some 2 KiB
)

// pclntab is a table's header.
type pclntab struct {
	image     *Image
	addr      uint64 // the table's; what follows are offsets from there, if not said otherwise
	nfunc     uint64 // the number of functions
	textStart uint64 // an address; 0 since Go 1.26, and where the dynamic linker writes it
	names     uint64
	namesEnd  uint64
	functab   uint64
}

// pclntabs finds all that looks like a table: one, if the program does not carry others as data. It is searched for, because a
// linker of position-independent code may put it into a section with other things.
func (m *Image) pclntabs(arch architecture, kind func(Segment) bool) (tables []*pclntab, err error) {
	needle := []byte{0xff, 0xff, 0xff, 0, 0, arch.minLC, wordSize} // all of the first word but its first byte
	segments, err := m.segments(kind)
	if err != nil {
		return nil, err
	}
	for _, s := range segments {
		tries := 0
		err := search(m.reader(s.Span), needle, func(at int64) bool {
			if addr := s.Addr + uint64(at) - 1; addr%wordSize == 0 {
				tries++
				if t := m.header(addr); t != nil {
					tables = append(tables, t)
				}
			}
			return tries < maxTables
		})
		if err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// header reads a header. It returns nil if there is none at the address, or an impossible one.
func (m *Image) header(addr uint64) *pclntab {
	var b [headerSize]byte
	if m.read(addr, b[:]) != nil {
		return nil
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[wordSize*i:]) }
	magic := binary.LittleEndian.Uint32(b[:])
	t := &pclntab{image: m, addr: addr, nfunc: word(1), textStart: word(3), names: word(4), namesEnd: word(5), functab: word(8)}
	if magic != magic118 && magic != magic120 || t.nfunc == 0 || t.nfunc > maxFunctions {
		return nil
	}
	if t.names < headerSize || t.names > t.namesEnd || t.namesEnd > t.functab || t.functab > maxTable {
		return nil
	}
	return t
}

// offsets returns where the names that are looked for are in the table of names; a name that is not there is left out.
func (t *pclntab) offsets() (map[string]uint32, error) {
	names, err := t.image.from(t.addr + t.names)
	if err != nil {
		return nil, err
	}
	size := int64(min(t.namesEnd-t.names, uint64(names.Size())))
	found := map[string]uint32{}
	err = search(io.NewSectionReader(names, 0, size), []byte("\x00"+connMethod), func(at int64) bool {
		b := make([]byte, len("\x00"+Write+"\x00"))
		n, _ := names.ReadAt(b, at)
		name, _, ended := strings.Cut(string(b[1:max(n, 1)]), "\x00")
		if ended && (name == Read || name == Write || name == Close) {
			found[name] = uint32(at + 1)
		}
		return len(found) < 3
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	err = search(io.NewSectionReader(names, 0, size), []byte("\x00"+memmove+"\x00"), func(at int64) bool {
		found[memmove] = uint32(at + 1)
		return false
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

// cursors returns one for the function table, which is pairs of a function's start and the offset of its _func, and ends with the
// end of the last function; and one for the _func structures, which lie behind it.
func (t *pclntab) cursors() (entries, funcs *cursor, err error) {
	table, err := t.image.from(t.addr + t.functab)
	if err != nil {
		return nil, nil, err
	}
	again := io.NewSectionReader(table, 0, table.Size())
	return &cursor{in: bufio.NewReaderSize(table, pieceSize)}, &cursor{in: bufio.NewReaderSize(again, pieceSize)}, nil
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
