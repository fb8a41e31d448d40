// Package gobinary finds the data functions of crypto/tls in executables and libraries that a Go compiler made, Go 1.18 and later,
// stripped or not. An image of a program goes in; file offsets come out at which a probe can be put. Whatever does not look exactly as the
// compiler writes it is refused: a probe within an instruction corrupts the program. It knows nothing of probes and processes.
//
// What a program at these offsets can rely on, the same for all versions (ABIInternal; the tests read it out of each):
//
//   - at Enter, the arguments are as they came: amd64 RAX conn, RBX buffer, RCX length, RDI capacity, R14 the goroutine; arm64 X0,
//     X1, X2, X3, X28.
//   - at Copy, RAX (X0) is the caller's buffer, RBX (X1) the plaintext in the connection's own, RCX (X2) how much of it is copied, R14 (X28)
//     still the goroutine. What is copied is what Read returns.
//   - the first word of a runtime.g is the lower and the second the upper end of its stack, which moves when it grows: what lies on it keeps
//     its distance to the upper end.
//   - tls.Conn begins with the interface that it speaks TLS over; a net.TCPConn with the pointer to its netFD, which has the
//     descriptor at byte 16.
package gobinary

import (
	"errors"
	"fmt"
	"slices"
)

// The functions that are looked for, as Go's symbol table names them.
const (
	Read  = connMethod + "Read"
	Write = connMethod + "Write"
	Close = connMethod + "Close"

	connMethod = "crypto/tls.(*Conn)."
	memmove    = "runtime.memmove"
)

// Errors that tell why there are no functions. Find wraps them with what exactly was found.
var (
	ErrNotGo       = errors.New("not made by Go")
	ErrNoTLS       = errors.New("a Go program without crypto/tls")       // the linker leaves out what is never called
	ErrUnsupported = errors.New("a Go program that can't be understood") // too old, too new, obfuscated or damaged
)

// Binary is what there is to know of a Go program.
type Binary struct {
	Version   string // of Go: "go1.26.3", possibly followed by experiments
	Functions []Function
}

// Function is one of Read, Write and Close. All offsets are offsets in the file.
type Function struct {
	Name string
	// Enter is the branch that follows the comparison of the stack pointer with the end of the stack. The arguments are untouched, and
	// unlike the comparison before it, the kernel emulates it on both architectures: a probe there costs a twentieth. If the stack
	// is too small, the branch is taken (the flags at Enter tell: CF or ZF on amd64, not C or Z on arm64), the stack grows and the
	// function begins anew, so that one call comes by twice, with the same arguments but for a stack that moved.
	Enter uint64
	// Copy is where Read calls memmove, as its last step: there is one such call in it. The kernel emulates calls; programs of Go have no
	// shadow stack. Where Read returns would be dearer on amd64, for the kernel single-steps that; and return probes are not for Go: they
	// put an address on a stack that moves. 0 in other functions.
	Copy uint64
}

// Find returns the functions of crypto/tls in a program. It reads in pieces, each table from front to end, and keeps no more than a
// piece, so that neither a large file nor a hostile one costs much memory.
func Find(m *Image) (*Binary, error) {
	version, err := m.version()
	if err != nil {
		return nil, err
	}
	functions, err := m.functions()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrUnsupported, version, err)
	case len(functions) == 0:
		return nil, fmt.Errorf("%w: %s", ErrNoTLS, version)
	}
	return &Binary{Version: version, Functions: functions}, nil
}

// functions finds and examines what is there of Read and Write, and Close if one of them is. None is no error.
func (m *Image) functions() ([]Function, error) {
	arch, err := m.architecture()
	if err != nil {
		return nil, err
	}
	table, text, err := m.module(arch)
	if err != nil {
		return nil, err
	}
	names, err := table.offsets()
	if err != nil {
		return nil, err
	}
	extents, err := table.extents(names)
	if err != nil {
		return nil, err
	}
	var copies extent
	extents = slices.DeleteFunc(extents, func(e extent) bool {
		if e.name == memmove {
			copies = e
		}
		return e.name == memmove
	})
	if !slices.ContainsFunc(extents, func(e extent) bool { return e.name != Close }) {
		return nil, nil
	}
	var found []Function
	for _, e := range extents {
		f, err := m.examine(arch, e, copies, text)
		if err != nil {
			return nil, fmt.Errorf("examine %s: %w", e.name, err)
		}
		found = append(found, f)
	}
	return found, nil
}
