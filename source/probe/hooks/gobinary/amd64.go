package gobinary

import (
	"errors"
	"fmt"

	"golang.org/x/arch/x86/x86asm"
)

// placesAMD64 decodes a whole function and returns where its stack check branches and what it calls. Every jump must lead to
// an instruction of the function: that, and that a jump leads back to its begin (after the stack grew), shows that it was decoded
// as it was written.
func placesAMD64(code []byte) (enter int, calls []call, err error) {
	var targets []int
	returns := 0
	begins := make([]bool, len(code)) // up to the next function: what fills the space decodes too (INT3)
	check := stackCheckAMD64{enter: -1}
	for at := 0; at < len(code); {
		in, err := x86asm.Decode(code[at:], 64)
		if err != nil {
			return 0, nil, fmt.Errorf("decode instruction at %#x: %w", at, err)
		}
		begins[at] = true
		check.see(at, in)
		next := at + in.Len
		rel, direct := in.Args[0].(x86asm.Rel)
		switch {
		case direct && in.Op == x86asm.CALL:
			calls = append(calls, call{at, next + int(rel)})
		case direct:
			targets = append(targets, next+int(rel))
		case in.Op == x86asm.RET:
			returns++
		}
		at = next
	}
	if check.enter < 0 {
		return 0, nil, errNoStackCheck
	}
	return check.enter, calls, checkFlow(begins, targets, returns, 1)
}

// stackCheckAMD64 recognises the first instructions of a function (cmd/internal/obj/x86, stacksplit): the comparison of the end
// of the frame with g.stackguard0, which is 16 bytes behind R14, and the branch to the growing of the stack.
//
//	small frame   CMP RSP, [R14+16]; JBE
//	larger        LEA R12, [RSP-frame]; CMP R12, [R14+16]; JBE
//	huge          MOV R12, RSP; SUB R12, frame; JB; CMP R12, [R14+16]; JBE
type stackCheckAMD64 struct {
	enter    int // the offset of the JBE, or -1
	compared bool
	over     bool // what follows is the body
}

func (c *stackCheckAMD64) see(at int, in x86asm.Inst) {
	if c.over {
		return
	}
	dst, src := in.Args[0], in.Args[1]
	switch {
	case c.compared:
		c.over = true
		if in.Op == x86asm.JBE {
			c.enter = at
		}
	case in.Op == x86asm.CMP:
		guard, ok := src.(x86asm.Mem)
		c.compared = ok && (dst == x86asm.RSP || dst == x86asm.R12) && guard == x86asm.Mem{Base: x86asm.R14, Scale: guard.Scale, Disp: 16}
		c.over = !c.compared
	case (in.Op == x86asm.LEA || in.Op == x86asm.MOV || in.Op == x86asm.SUB) && dst == x86asm.R12, in.Op == x86asm.JB:
	default:
		c.over = true
	}
}

var errNoStackCheck = errors.New("it does not begin with a stack check")

// checkFlow refuses a function from which a jump leads elsewhere than to one of its instructions, or which has no jump back to its
// begin or no return. begins tells where instructions begin, in units.
func checkFlow(begins []bool, targets []int, returns, unit int) error {
	restarts := false
	for _, t := range targets {
		if t < 0 || t/unit >= len(begins) || !begins[t/unit] {
			return fmt.Errorf("a jump leads to %#x, which is not an instruction of it", t)
		}
		restarts = restarts || t == 0
	}
	if !restarts {
		return errors.New("it does not begin anew after its stack grew")
	}
	if returns == 0 {
		return errors.New("it never returns")
	}
	return nil
}
