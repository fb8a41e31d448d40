package hooks

import (
	"debug/elf"
	"encoding/binary"
)

const (
	symbolSize = 24 // bytes of a Sym64
	maxPlaces  = 64 // places in a table of names at which one name is, alone or as the end of a longer one
	maxSame    = 4  // functions of one name: versions, or local ones
)

// function is a function in the file.
type function struct {
	name       string
	addr, size uint64 // size is 0 if not known
	index      uint32 // in its table of symbols
	dynamic    bool   // it is in the table that other files see
}

// names is what was found of the names that were looked for.
type names struct {
	defined  map[string][]function
	imported map[string]bool
	versions []string // symbol versions, such as OPENSSL_3.0.0
}

// versionPrefixes start the symbol versions that tell a library's version.
var versionPrefixes = [...]string{"OPENSSL_0", "OPENSSL_1", "OPENSSL_3", "OPENSSL_4"}

// lookUp finds functions by their names, in both tables: a program with a library linked in may show some of its functions to
// other files, and the rest to debuggers only.
func (img *image) lookUp(wanted []string) *names {
	found := &names{defined: make(map[string][]function), imported: make(map[string]bool)}
	img.readSymbols(img.dynamic, wanted, found, true)
	img.readSymbols(img.local, wanted, found, false)
	return found
}

// readSymbols reads a table from one end to the other, because that is bounded and works for all tables: not every file has a
// hash table, and .symtab never has one.
func (img *image) readSymbols(table symbolTable, wanted []string, found *names, dynamic bool) {
	places := img.findNames(table.names, wanted, found)
	if len(places) == 0 {
		return
	}
	size := min(table.symbols.size, maxTable)
	buf := make([]byte, min(size, 2048*symbolSize))
	for off := uint64(0); off+symbolSize <= size; {
		b := buf[:min(uint64(len(buf)), size-off)/symbolSize*symbolSize]
		if img.read(b, table.symbols.off+off) != nil {
			break
		}
		for ; len(b) > 0; b = b[symbolSize:] {
			if name, ok := places[binary.LittleEndian.Uint32(b)]; ok {
				found.add(function{name: name, index: uint32(off / symbolSize), dynamic: dynamic}, b)
			}
			off += symbolSize
		}
	}
}

// findNames returns the places of the names, relative to the start of their table. Linkers share the ends of names, so a
// name need not start where one before it ends.
func (img *image) findNames(table span, wanted []string, found *names) map[uint32]string {
	patterns := make([]string, 0, len(wanted)+len(versionPrefixes))
	for _, name := range wanted {
		patterns = append(patterns, name+"\x00")
	}
	patterns = append(patterns, versionPrefixes[:]...)
	places, count := make(map[uint32]string), make([]int, len(patterns))
	table.size = min(table.size, maxTable)
	newSearch(patterns).run(img.file, table, func(pattern int, off uint64, text []byte) {
		if count[pattern]++; count[pattern] > maxPlaces {
			return
		}
		if pattern >= len(wanted) {
			found.versions = append(found.versions, cString(text))
			return
		}
		places[uint32(off-table.off)] = wanted[pattern]
	})
	return places
}

// add takes a function with its Sym64: name uint32, info, other uint8, section uint16, value, size uint64.
func (n *names) add(f function, symbol []byte) {
	if binary.LittleEndian.Uint16(symbol[6:]) == uint16(elf.SHN_UNDEF) {
		n.imported[f.name] = true
		return
	}
	if elf.ST_TYPE(symbol[4]) != elf.STT_FUNC {
		return
	}
	f.addr, f.size = binary.LittleEndian.Uint64(symbol[8:]), binary.LittleEndian.Uint64(symbol[16:])
	same := n.defined[f.name]
	for _, other := range same {
		if other.addr == f.addr {
			return
		}
	}
	if len(same) < maxSame {
		n.defined[f.name] = append(same, f)
	}
}

// cString returns what is before the first zero.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
