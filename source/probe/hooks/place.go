package hooks

import "debug/elf"

// located is a function in the file, with the program that is made for it.
type located struct {
	function
	program Program
}

// place makes a hook for each function for which that can be done.
func (img *image) place(functions []located, opts Options) []Hook {
	if img.machine == elf.EM_X86_64 {
		functions = img.withoutForwarders(functions)
		if !opts.NoTrampolines {
			functions = img.unwrap(functions)
		}
	}
	var hooks []Hook
	taken := make(map[uint64]bool) // functions with the same code may be one
	for _, f := range functions {
		h, ok := img.hook(f, opts)
		if ok && !taken[h.Enter] {
			taken[h.Enter] = true
			hooks = append(hooks, h)
		}
	}
	return hooks
}

// hook decides where in a function the probe goes: on arm64 at its start, as no instruction there is cheaper than others.
func (img *image) hook(f located, opts Options) (Hook, bool) {
	enter, exit, trampoline := f.addr, []uint64{f.addr}, true
	if img.machine == elf.EM_X86_64 {
		b := img.body(f.function)
		cheap, top := b.cheap(f.program.needs())
		switch {
		case !f.program.results():
			enter = cheap
		case opts.NoTrampolines:
			var ok bool
			enter, trampoline = cheap, false
			if exit, ok = b.returns(); !ok {
				return Hook{}, false
			}
		case top != f.addr:
			enter, exit = cheap, []uint64{top}
		}
		// Else the start must be stepped over for the result, and then it serves for the arguments too.
	}
	if !f.program.results() {
		exit, trampoline = nil, false
	}
	h := Hook{Program: f.program, Symbol: f.name, Trampoline: trampoline}
	var ok bool
	if h.Enter, ok = img.offset(enter); !ok {
		return Hook{}, false
	}
	for _, addr := range exit {
		off, ok := img.offset(addr)
		if !ok {
			return Hook{}, false
		}
		h.Exit = append(h.Exit, off)
	}
	return h, true
}

// needs returns the registers with the arguments that a program reads.
func (p Program) needs() registers {
	count := 1
	switch p {
	case Read, Write, NSPRRead, NSPRWrite:
		count = 3
	case ReadEx, WriteEx, SendFile:
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
