package hooks

import (
	"encoding/binary"
	"slices"

	"golang.org/x/arch/x86/x86asm"
)

// forwarders are functions that only call another one with the same arguments, in some versions of the library.
var forwarders = map[string]string{
	"SSL_connect":        "SSL_do_handshake",
	"SSL_accept":         "SSL_do_handshake",
	"SSL_write_ex":       "SSL_write_ex2",
	"gnutls_record_send": "gnutls_record_send2",
}

// withoutForwarders leaves out the functions that call others that are there too: a hook there would only cost.
func (img *image) withoutForwarders(functions []located) []located {
	at := make(map[uint64]string) // names of functions, and of the slots through which the file calls what others may replace
	for _, f := range functions {
		at[f.addr] = f.name
	}
	img.addSlots(at, functions)
	return slices.DeleteFunc(slices.Clone(functions), func(f located) bool {
		to := forwarders[f.name]
		return to != "" && img.reaches(f.function, to, at)
	})
}

// reaches tells whether a function calls or jumps to another, directly or through the linkage table.
func (img *image) reaches(f function, other string, at map[uint64]string) bool {
	for in := range img.body(f).all() {
		if target, ok := in.target(); ok && in.Len > 0 && (at[target] == other || at[img.slot(target)] == other) {
			return true
		}
	}
	return false
}

// slot returns the address of the slot through which an entry of the linkage table jumps: jmp *slot(%rip).
func (img *image) slot(addr uint64) uint64 {
	const entrySize = 16
	b := body{addr, img.code(addr, entrySize), false}
	for in := range b.all() {
		if m, ok := in.Args[0].(x86asm.Mem); ok && in.Op == x86asm.JMP && m.Base == x86asm.RIP {
			return in.next() + uint64(m.Disp)
		}
		if in.Op != x86asm.NOP {
			break
		}
	}
	return 0
}

// addSlots adds the addresses of the slots of functions. It reads tables of Rela64: offset uint64, type, symbol uint32,
// addend int64.
func (img *image) addSlots(at map[uint64]string, functions []located) {
	const relocationSize = 24
	buf := make([]byte, 1024*relocationSize)
	for _, table := range img.relocations {
		for off := uint64(0); off+relocationSize <= table.size; {
			b := buf[:min(uint64(len(buf)), table.size-off)/relocationSize*relocationSize]
			if img.read(b, table.off+off) != nil {
				break
			}
			off += uint64(len(b))
			for ; len(b) > 0; b = b[relocationSize:] {
				symbol := binary.LittleEndian.Uint32(b[12:])
				for _, f := range functions {
					if f.dynamic && f.index == symbol {
						at[binary.LittleEndian.Uint64(b)] = f.name
					}
				}
			}
		}
	}
}
