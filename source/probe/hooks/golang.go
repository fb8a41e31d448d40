package hooks

import (
	"errors"
	"fmt"

	"github.com/vitrine-ndr/vitrine/source/probe/hooks/gobinary"
)

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
		if h.Program != GoFree {
			h.Exit = f.Returns
		}
		lib.Hooks = append(lib.Hooks, h)
	}
	return []Library{lib}, nil
}
