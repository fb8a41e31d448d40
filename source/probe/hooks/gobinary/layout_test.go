package gobinary

import (
	"debug/dwarf"
	"debug/elf"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLayout reads out of programs of each release what the probe relies on when it follows a connection to its socket, and a
// buffer on a stack that moves: offsets of fields. The package comment promises them.
func TestLayout(t *testing.T) {
	want := map[string]int64{
		"crypto/tls.Conn.conn":    0, // an interface: its second word points to the data
		"net.TCPConn.conn":        0,
		"net.conn.fd":             0, // a pointer
		"net.netFD.pfd":           0,
		"internal/poll.FD.Sysfd":  16,
		"runtime.iface.data":      8,
		"runtime.g.stack":         0,
		"runtime.stack.lo":        0,
		"runtime.stack.hi":        8,
		"runtime.g.stackguard0":   16, // what the stack check compares with
		"runtime.moduledata.text": wordSize * mdText,
	}
	for _, b := range builds() {
		if b.name != "static" && b.name != "arm64" {
			continue
		}
		t.Run(b.version+" "+b.name, func(t *testing.T) {
			t.Parallel()
			_, twin := b.make(t)
			if diff := cmp.Diff(want, offsets(t, twin, want)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// offsets returns the offsets of fields, by what the compiler told debuggers.
func offsets(t *testing.T, program string, wanted map[string]int64) map[string]int64 {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := file.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int64{}
	entries, owner := data.Reader(), ""
	for {
		e, err := entries.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return found
		}
		name, _ := e.Val(dwarf.AttrName).(string)
		switch e.Tag {
		case dwarf.TagStructType:
			owner = name
		case dwarf.TagMember:
			if _, ok := wanted[owner+"."+name]; ok {
				found[owner+"."+name], _ = e.Val(dwarf.AttrDataMemberLoc).(int64)
			}
		}
	}
}
