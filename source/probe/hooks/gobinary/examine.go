package gobinary

import (
	"fmt"
	"slices"
)

// examine reads the code of a function and finds the places for probes in it.
func (m *Image) examine(arch architecture, e, copies extent, text uint64) (Function, error) {
	code := make([]byte, e.end-e.start)
	offset, err := m.readCode(text+uint64(e.start), code)
	if err != nil {
		return Function{}, err
	}
	enter, calls, err := arch.places(code)
	if err != nil {
		return Function{}, err
	}
	f := Function{Name: e.name, Enter: offset + uint64(enter)}
	if e.name != Read {
		return f, nil
	}
	calls = slices.DeleteFunc(calls, func(c call) bool { return int64(e.start)+int64(c.to) != int64(copies.start) })
	if len(calls) != 1 {
		return Function{}, fmt.Errorf("it calls %s %d times, not once", memmove, len(calls))
	}
	f.Copy = offset + uint64(calls[0].at)
	return f, nil
}

// call is a direct call: offsets from the start of the function.
type call struct{ at, to int }
