package hooks

import (
	"debug/elf"
	"fmt"
)

// located is a function in the file, with what it is for.
type located struct {
	function
	entryPoint
}

// place makes a hook for each function. It fails if one can't be followed that most programs call: half of what passes
// would be worse than nothing.
func (img *image) place(functions []located, opts Options) ([]Hook, error) {
	if img.machine == elf.EM_X86_64 {
		functions = img.withoutForwarders(functions)
		if !opts.NoTrampolines {
			functions = img.unwrap(functions)
		}
	}
	var hooks []Hook
	taken := make(map[uint64]bool) // functions with the same code may be one
	for _, f := range functions {
		h, err := img.hook(f, opts)
		if err != nil && !f.rare {
			return nil, err
		}
		if err == nil && !taken[h.Enter] {
			taken[h.Enter] = true
			hooks = append(hooks, h)
		}
	}
	return hooks, nil
}

// hook decides where in a function the probe goes: on arm64 at its start, as no instruction there is cheaper than others.
func (img *image) hook(f located, opts Options) (Hook, error) {
	h := Hook{Program: f.program, Symbol: f.name}
	enter, exit := f.addr, []uint64{f.addr}
	h.Trampoline = true
	if img.machine == elf.EM_X86_64 {
		b := img.body(f.function)
		cheap, top := b.cheap(f.program.needs())
		switch {
		case !f.program.results():
			enter = cheap
		case opts.NoTrampolines:
			ends, ok := b.returns()
			if !ok {
				return Hook{}, fmt.Errorf("where %s ends can't be told without a return probe", f.name)
			}
			enter, exit, h.Trampoline = cheap, ends, false
		case cheap != f.addr && top != f.addr:
			enter, exit = cheap, []uint64{top}
		}
		// Else the start has to be stepped over for one of them, and then it serves for both.
	}
	if !f.program.results() {
		exit, h.Trampoline = nil, false
	}
	for i, addr := range append([]uint64{enter}, exit...) {
		off, ok := img.offset(addr)
		switch {
		case !ok:
			return Hook{}, fmt.Errorf("%s is not in a segment with code", f.name)
		case i == 0:
			h.Enter = off
		default:
			h.Exit = append(h.Exit, off)
		}
	}
	return h, nil
}

// needs returns the registers with the arguments that a program reads.
func (p Program) needs() registers {
	count := 1
	switch p {
	case ReadPacket, NSPRWritev:
		count = 2
	case Read, Write, NSPRRead, NSPRWrite:
		count = 3
	case ReadEx, WriteEx, SendFile, NSPRRecv:
		count = 4
	case WriteEx2:
		count = 5
	}
	var set registers
	for _, r := range arguments[:count] {
		set |= 1 << r
	}
	return set
}
