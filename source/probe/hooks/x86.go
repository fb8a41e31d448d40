package hooks

import (
	"bytes"
	"iter"

	"golang.org/x/arch/x86/x86asm"
)

// body is the machine code of a function for x86-64.
type body struct {
	start uint64 // address
	code  []byte
	whole bool // code ends where the function ends; else that is not known
}

// instruction is one instruction of a body.
type instruction struct {
	x86asm.Inst
	addr  uint64
	bytes []byte
}

// endbr64 marks what may be called by address. The decoder does not know it.
var endbr64 = []byte{0xf3, 0x0f, 0x1e, 0xfa}

// body reads the machine code of a function.
func (img *image) body(f function) *body {
	const unknownSize = 256
	if f.size == 0 || f.size > maxCode {
		return &body{f.addr, img.code(f.addr, unknownSize), false}
	}
	code := img.code(f.addr, f.size)
	return &body{f.addr, code, uint64(len(code)) == f.size}
}

// at decodes the instruction at an address.
func (b *body) at(addr uint64) (instruction, bool) {
	if addr < b.start || addr-b.start >= uint64(len(b.code)) {
		return instruction{}, false
	}
	code := b.code[addr-b.start:]
	if bytes.HasPrefix(code, endbr64) {
		return instruction{x86asm.Inst{Op: x86asm.NOP, Len: len(endbr64)}, addr, endbr64}, true
	}
	in, err := x86asm.Decode(code, 64)
	if err != nil || in.Op == 0 || in.Len == 0 {
		return instruction{}, false
	}
	return instruction{in, addr, code[:in.Len]}, true
}

// all yields the instructions from the first to the last. The last one yielded is not valid (Len is 0) if one can't be decoded.
func (b *body) all() iter.Seq[instruction] {
	return func(yield func(instruction) bool) {
		for addr := b.start; addr < b.start+uint64(len(b.code)); {
			in, ok := b.at(addr)
			if !yield(in) || !ok {
				return
			}
			addr = in.next()
		}
	}
}

func (b *body) contains(addr uint64) bool {
	return addr >= b.start && addr-b.start < uint64(len(b.code))
}

func (in *instruction) next() uint64 { return in.addr + uint64(in.Len) }

// target returns where a direct jump or call goes.
func (in *instruction) target() (uint64, bool) {
	rel, ok := in.Args[0].(x86asm.Rel)
	return in.next() + uint64(int64(rel)), ok
}

// emulated tells whether the kernel emulates the instruction under a uprobe instead of stepping over it, which costs twenty
// times as much: arch/x86/kernel/uprobes.c, branch_setup_xol_ops and push_setup_xol_ops, as they are since Linux 4.18. Later
// kernels emulate a few more. Left out are prefixes, which some kernels refuse there, and calls: where programs have a shadow
// stack, not every kernel writes the return address to it too.
func (in *instruction) emulated() bool {
	op := in.bytes[0]
	if op == 0x41 && in.Len == 2 {
		op = in.bytes[1]
		return op >= 0x50 && op <= 0x57 // push of r8 to r15
	}
	switch {
	case op >= 0x50 && op <= 0x57, // push
		op >= 0x70 && op <= 0x7f,           // jump on a condition, near
		op == 0xeb, op == 0xe9, op == 0x90: // jump, nop
		return true
	case op == 0x0f && in.Len == 6:
		return in.bytes[1] >= 0x80 && in.bytes[1] <= 0x8f // jump on a condition, far
	}
	return false
}

// registers is a set of general registers.
type registers uint16

// numberOf returns which of the 16 general registers an argument is, or is a part of.
func numberOf(arg x86asm.Arg) (int, bool) {
	r, ok := arg.(x86asm.Reg)
	switch {
	case !ok:
		return 0, false
	case r >= x86asm.RAX && r <= x86asm.R15:
		return int(r - x86asm.RAX), true
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return int(r - x86asm.EAX), true
	case r >= x86asm.AX && r <= x86asm.R15W:
		return int(r - x86asm.AX), true
	case r >= x86asm.AL && r <= x86asm.BL:
		return int(r - x86asm.AL), true
	case r >= x86asm.AH && r <= x86asm.BH:
		return int(r - x86asm.AH), true
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return int(r-x86asm.SPB) + stackPointer, true
	}
	return 0, false
}

// stackPointer is the number of rsp.
const stackPointer = 4

// arguments are the registers in which a function gets its arguments: rdi, rsi, rdx, rcx, r8 (System V ABI, section 3.2.3).
var arguments = [...]int{7, 6, 2, 1, 8}

// effect is what an instruction does, as far as it matters before a function has called another.
type effect struct {
	writes registers
	stack  int64 // by how much the stack grows
}

// effect fails for instructions that it does not know.
func (in *instruction) effect() (effect, bool) {
	switch in.Op {
	case x86asm.TEST, x86asm.CMP, x86asm.NOP, x86asm.BT:
		return effect{}, true
	case x86asm.PUSH:
		return effect{stack: 8}, true
	case x86asm.MOV, x86asm.MOVSXD, x86asm.MOVSX, x86asm.MOVZX, x86asm.LEA, x86asm.XOR, x86asm.AND, x86asm.OR, x86asm.ADD, x86asm.SUB,
		x86asm.PXOR, x86asm.XORPS, x86asm.MOVUPS, x86asm.MOVAPS, x86asm.MOVDQA, x86asm.MOVDQU, x86asm.MOVQ, x86asm.MOVD:
		r, ok := numberOf(in.Args[0])
		if !ok {
			return effect{}, true // memory, or another kind of register
		}
		if r != stackPointer {
			return effect{writes: 1 << r}, true
		}
		by, ok := in.Args[1].(x86asm.Imm)
		switch {
		case ok && in.Op == x86asm.SUB:
			return effect{stack: int64(by)}, true
		case ok && in.Op == x86asm.ADD:
			return effect{stack: -int64(by)}, true
		}
	}
	return effect{}, false
}
