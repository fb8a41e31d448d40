package hooks

import (
	"slices"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// OpenSSL has its functions twice and more: SSL_read, and SSL_read_ex, which tells the number of bytes apart from the status.
// Both, and the BIO that reads from a connection, call one function that has no symbol:
//
//	int ssl_read_internal(SSL *s, void *buf, size_t num, size_t *readbytes);
//	int ssl_write_internal(SSL *s, const void *buf, size_t num, [uint64_t flags,] size_t *written);
//
// One hook there sees what all of them do, at an instruction that is cheaper than theirs. It is trusted if two of the
// functions with symbols pass what they should, the plain one among them: it makes two of the arguments itself, so that no
// other call looks like that.

// wrapper is a function with a symbol, and what it passes on as the third argument and those behind.
type wrapper struct {
	symbol               string
	length, flags, count value
}

// wrappers are functions around the same inner one, the plain one first.
type wrappers struct {
	all  []wrapper
	with map[int]Program // for the inner function, by the argument in which it has the count
}

func innerFunctions() []wrappers {
	return []wrappers{
		{
			[]wrapper{{"SSL_read", narrow(2), unknown, onStack}, {"SSL_read_ex", passed(2), unknown, passed(3)}},
			map[int]Program{3: ReadEx},
		}, {
			[]wrapper{{"SSL_write", narrow(2), unknown, onStack}, {"SSL_write_ex", passed(2), unknown, passed(3)}, {"SSL_write_ex2", passed(2), passed(3), passed(4)}},
			map[int]Program{3: WriteEx, 4: WriteEx2},
		}, {
			[]wrapper{{"SSL_peek", narrow(2), unknown, onStack}, {"SSL_peek_ex", passed(2), unknown, passed(3)}},
			map[int]Program{3: Window},
		},
	}
}

// inner is an inner function, by its address and what is made for its shape.
type inner struct {
	addr    uint64
	program Program
}

// unwrap puts inner functions in the place of the wrappers that call them.
func (img *image) unwrap(functions []located) []located {
	for _, w := range innerFunctions() {
		for f, names := range img.callers(&w, functions) {
			if len(names) < 2 || !slices.Contains(names, w.all[0].symbol) {
				continue
			}
			functions = slices.DeleteFunc(functions, func(f located) bool { return slices.Contains(names, f.name) })
			functions = append(functions, located{function{name: strings.Join(names, "/"), addr: f.addr}, entryPoint{program: f.program}})
		}
	}
	return functions
}

// callers returns what may be the inner function, with the wrappers that call it as they should.
func (img *image) callers(w *wrappers, functions []located) map[inner][]string {
	names := make(map[inner][]string)
	for _, f := range functions {
		i := slices.IndexFunc(w.all, func(w wrapper) bool { return w.symbol == f.name })
		if i < 0 {
			continue
		}
		for _, c := range img.body(f.function).calls() {
			to := inner{c.target, w.with[w.all[i].counts(c)]}
			if to.program != "" && !slices.Contains(names[to], f.name) {
				names[to] = append(names[to], f.name)
			}
		}
	}
	return names
}

// counts returns the argument of a call that is the address of the count, or 0 if the call is not that of the inner function.
func (w *wrapper) counts(c call) int {
	a := c.passes
	switch {
	case a[0] != passed(0) || a[1] != passed(1) || a[2] != w.length:
		return 0
	case w.flags == unknown && a[3] == w.count:
		return 3
	case w.flags == unknown && a[3] == zero && a[4] == w.count, w.flags != unknown && a[3] == w.flags && a[4] == w.count:
		return 4
	}
	return 0
}

// value is what is known of the content of a register.
type value uint8

const (
	unknown value = iota
	zero
	onStack // an address in the function's own frame
	fromArguments
)

func passed(argument int) value { return fromArguments + value(argument) }                         // as the caller passed it
func narrow(argument int) value { return fromArguments + value(len(arguments)) + value(argument) } // its lower half, extended

// call is a direct call, or a jump to another function, with what is passed.
type call struct {
	target uint64
	passes [len(arguments)]value
}

// path is one way through a function.
type path struct {
	addr      uint64
	registers [16]value
}

// calls returns the first direct call on each way through a function.
func (b *body) calls() []call {
	const maxSteps = 256
	first := path{addr: b.start}
	first.registers[stackPointer] = onStack
	for i, r := range arguments {
		first.registers[r] = passed(i)
	}
	var found []call
	seen, todo := make(map[uint64]bool), []path{first}
	for steps := 0; len(todo) > 0 && steps < maxSteps; steps++ {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		in, ok := b.at(p.addr)
		if !ok || seen[p.addr] {
			continue
		}
		seen[p.addr] = true
		p.addr = in.next()
		target, direct := in.target()
		switch {
		case direct && (in.Op == x86asm.CALL || in.Op == x86asm.JMP && !b.contains(target)):
			found = append(found, p.call(target))
		case direct && in.Op == x86asm.JMP:
			p.addr = target
			todo = append(todo, p)
		case direct:
			todo = append(todo, p, path{target, p.registers})
		case p.step(&in):
			todo = append(todo, p)
		}
	}
	return found
}

func (p *path) call(target uint64) call {
	c := call{target: target}
	for i, r := range arguments {
		c.passes[i] = p.registers[r]
	}
	return c
}

// step follows what an instruction does to the registers. It fails for those that it does not know.
func (p *path) step(in *instruction) bool {
	effect, ok := in.effect()
	if !ok {
		return false
	}
	if effect.writes == 0 {
		return true
	}
	to, _ := numberOf(in.Args[0])
	p.registers[to] = p.result(in)
	return true
}

func (p *path) result(in *instruction) value {
	from, fromRegister := numberOf(in.Args[1])
	switch in.Op {
	case x86asm.XOR:
		if in.Args[0] == in.Args[1] && in.DataSize >= 32 {
			return zero
		}
	case x86asm.MOV:
		if fromRegister && in.DataSize == 64 {
			return p.registers[from]
		}
		if fromRegister && in.DataSize == 32 {
			return narrowed(p.registers[from])
		}
		if i, ok := in.Args[1].(x86asm.Imm); ok && i == 0 && in.DataSize >= 32 {
			return zero
		}
	case x86asm.MOVSXD:
		if fromRegister {
			return narrowed(p.registers[from])
		}
	case x86asm.LEA:
		if m, ok := in.Args[1].(x86asm.Mem); ok && m.Index == 0 {
			if base, ok := numberOf(m.Base); ok && p.registers[base] == onStack {
				return onStack
			}
		}
	}
	return unknown
}

// narrowed is what 32 bits of a register are once they are extended to 64.
func narrowed(v value) value {
	if v >= passed(0) && v <= passed(len(arguments)-1) {
		return v + value(len(arguments))
	}
	return unknown
}
