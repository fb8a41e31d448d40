package hooks

import "golang.org/x/arch/x86/x86asm"

// maxPrologue bounds how far behind its start a function is searched for a cheap instruction.
const maxPrologue = 16

// cheap returns two addresses in a function: the first instruction that the kernel emulates, if the registers that are needed
// are still as the caller left them; and the same if moreover the return address is still on top of the stack, so that a
// return probe can be there. Either is the function's start if there is no such instruction.
//
// Between the start and what is returned there is no jump, so that every call comes past it; and no jump inside the function
// goes there or between, so that nothing else does.
func (b *body) cheap(needed registers) (enter, top uint64) {
	var written registers
	stack := int64(0)
	addr := b.start
	for range maxPrologue {
		in, ok := b.at(addr)
		if !ok {
			return b.start, b.start
		}
		if in.emulated() {
			break
		}
		effect, ok := in.effect()
		if !ok {
			return b.start, b.start
		}
		written |= effect.writes
		stack += effect.stack
		addr = in.next()
	}
	in, ok := b.at(addr)
	if !ok || !in.emulated() || b.jumpsInto(addr) {
		return b.start, b.start
	}
	enter, top = b.start, b.start
	if written&needed == 0 {
		enter = addr
	}
	if stack == 0 {
		top = addr
	}
	return enter, top
}

// jumpsInto tells whether the function may jump to what is behind its start, up to the address. If it is not known where the
// function ends, then only what stands before its first real instruction is trusted.
func (b *body) jumpsInto(to uint64) bool {
	if !b.whole {
		in, _ := b.at(b.start)
		return to != b.start && (in.Op != x86asm.NOP || in.next() != to)
	}
	for in := range b.all() {
		if in.Len == 0 {
			return to != b.start
		}
		if t, ok := in.target(); ok && in.Op != x86asm.CALL && t > b.start && t <= to {
			return true
		}
	}
	return false
}

// returns finds all instructions with which the function returns. It fails if control may leave the function in another way
// and come back to its caller: through a jump to another function, or to an address that is only known when it runs.
func (b *body) returns() ([]uint64, bool) {
	var found []uint64
	var last [16]instruction // that wrote each register
	if !b.whole {
		return nil, false
	}
	for in := range b.all() {
		target, direct := in.target()
		switch {
		case in.Len == 0:
			return nil, false
		case in.Op == x86asm.RET:
			found = append(found, in.addr)
		case in.Op == x86asm.CALL:
		case direct && !b.contains(target):
			return nil, false
		case in.Op == x86asm.JMP && !direct && !isTable(&in, &last):
			return nil, false
		}
		if r, ok := numberOf(in.Args[0]); ok {
			last[r] = in
		}
	}
	return found, len(found) > 0
}

// isTable tells whether an indirect jump is that of a switch, which stays inside the function: through a table of addresses, or
// to the sum of the table's address and an entry of it.
func isTable(jump *instruction, last *[16]instruction) bool {
	if m, ok := jump.Args[0].(x86asm.Mem); ok {
		return m.Scale == 8 && m.Index != 0
	}
	r, ok := numberOf(jump.Args[0])
	if !ok || last[r].Op != x86asm.ADD {
		return false
	}
	_, ofRegisters := numberOf(last[r].Args[1])
	return ofRegisters
}
