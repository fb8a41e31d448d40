package hooks

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/vitrine-ndr/vitrine/source/probe/hooks/gobinary"
)

// Options change where hooks go. The zero value is right for most kernels.
type Options struct {
	// NoTrampolines asks for hooks without return probes: where functions return, instead. Kernels 6.11.0 to 6.12.13 and
	// 6.13.0 to 6.13.2 on x86-64 need that: their return probes use a system call that seccomp filters deny, and a process
	// that has such a filter is killed. Functions whose ends can't be found get no hook.
	NoTrampolines bool
}

// Find returns the TLS libraries that are in an ELF file: a shared library, or a program with libraries linked into it. The file
// may be hostile. If there are none, the error wraps ErrNoTLS, ErrUnknown, ErrNoSymbols or ErrUnsupported, and says what was seen.
func Find(file io.ReaderAt, size int64, opts Options) ([]Library, error) {
	img, err := openImage(file, size)
	if err != nil {
		return nil, err
	}
	found := img.lookUp(wanted())
	marks := img.marks()
	libraries, err := img.libraries(found, marks, opts)
	golang, goErr := img.golang()
	libraries = append(libraries, golang...)
	switch {
	case len(libraries) > 0:
		return libraries, nil
	case err != nil:
		return nil, err
	case goErr != nil:
		return nil, goErr
	}
	return nil, whyNot(found, marks)
}

// libraries makes hooks for all families of which functions were found.
func (img *image) libraries(found *names, marks *marks, opts Options) ([]Library, error) {
	var all []Library
	var failed error
	for _, f := range families() {
		var functions []located
		for _, e := range f.functions {
			for _, fn := range found.defined[e.symbol] {
				functions = append(functions, located{fn, e})
			}
		}
		if !slices.ContainsFunc(functions, func(l located) bool { return l.program.data() }) {
			continue
		}
		hooks, err := img.place(functions, opts)
		if err != nil {
			failed = fmt.Errorf("%w: %s is there, but %w", ErrUnsupported, f.name, err)
			continue
		}
		lib := Library{Name: f.name, Hooks: hooks}
		lib.identify(found, marks)
		all = append(all, lib)
	}
	return all, failed
}

// golang makes hooks for Go's crypto/tls. A program that Go did not make has none, which is no error.
func (img *image) golang() ([]Library, error) {
	m := &gobinary.Image{File: img.file, Machine: img.machine}
	for _, s := range img.segments {
		m.Segments = append(m.Segments, gobinary.Segment{Span: gobinary.Span{Offset: s.off, Size: s.size}, Addr: s.addr, Exec: s.exec, Write: s.write})
	}
	for _, r := range img.relocations {
		m.Relocations = append(m.Relocations, gobinary.Span{Offset: r.off, Size: r.size})
	}
	found, err := gobinary.Find(m)
	switch {
	case errors.Is(err, gobinary.ErrNotGo):
		return nil, nil
	case errors.Is(err, gobinary.ErrNoTLS):
		return nil, fmt.Errorf("%w: %w", ErrNoTLS, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	programs := map[string]Program{gobinary.Read: GoRead, gobinary.Write: GoWrite, gobinary.Close: GoFree}
	lib := Library{Name: "go", Version: found.Version}
	for _, f := range found.Functions {
		h := Hook{Program: programs[f.Name], Symbol: f.Name, Enter: f.Enter}
		if h.Program == GoRead {
			h.Exit = []uint64{f.Copy}
		}
		lib.Hooks = append(lib.Hooks, h)
	}
	return []Library{lib}, nil
}
