package probe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
	"github.com/vitrine-ndr/vitrine/source/probe/process"
)

// diary is a Sink that writes down what arrives.
type diary struct{ lines []string }

func (d *diary) Open(c *flow.Conn) source.Stream { return &entry{d, c} }

type entry struct {
	*diary
	conn *flow.Conn
}

func (e *entry) note(format string, args ...any) {
	e.lines = append(e.lines, fmt.Sprintf(format, args...))
}

func (e *entry) Data(dir flow.Direction, _ time.Time, b []byte) flow.Verdict {
	e.note("%s %s", dir, b)
	return flow.Pass
}

func (e *entry) Gap(dir flow.Direction, _ time.Time, n int) { e.note("%s gap %d", dir, n) }

func (e *entry) Close(time.Time) {
	server := ""
	if e.conn.Tuple.Server.IP.IsValid() {
		server = e.conn.Tuple.Server.String()
	}
	e.note("end %s %s", server, e.conn.Decryption.State)
}

// play gives records to a conns that nothing else feeds. Handle 0 is a pause that lets time run out.
func play(t *testing.T, records ...record) []string {
	t.Helper()
	f, err := filter.Compile(filter.Rules{Mode: filter.Everything})
	if err != nil {
		t.Fatal(err)
	}
	d := new(diary)
	cs := newConns(&Probe{cfg: Config{Ignore: func(flow.Tuple) bool { return false }}, programs: newPrograms(process.New("/proc"), f)}, nil, d)
	for i := range records {
		if r := &records[i]; r.handle == 0 && r.kind != kindExit {
			cs.tick(time.Now().Add(time.Hour))
		} else {
			r.pid, r.time = 1<<30, monotonic() // a process that does not exist
			cs.record(r)
		}
	}
	cs.close()
	if len(cs.byHandle)+len(cs.byPID)+len(cs.waiting)+len(cs.hungUp)+cs.held != 0 {
		t.Errorf("something is left: %d connections, %d processes, %d waiting, %d hung up, %d bytes", len(cs.byHandle), len(cs.byPID), len(cs.waiting), len(cs.hungUp), cs.held)
	}
	return d.lines
}

func data(handle uint64, w way, read, written uint64, text string) record {
	return record{kind: kindData, handle: handle, way: w, position: [2]uint64{read, written}, length: len(text), data: []byte(text)}
}

// client is the tie of a connection from 192.0.2.1:40000 to 192.0.2.2:443.
func client(handle uint64) record {
	b := make([]byte, tieSize)
	b[16], b[22] = familyInet, 1
	copy(b[18:], []byte{0x40, 0x9c, 0xbb, 0x01})
	copy(b[24:], []byte{192, 0, 2, 1})
	copy(b[40:], []byte{192, 0, 2, 2})
	return record{kind: kindTie, handle: handle, data: b}
}

func TestConns(t *testing.T) {
	at := func(k kind, read, written uint64) record {
		return record{kind: k, handle: 1, position: [2]uint64{read, written}}
	}
	later := record{}
	tests := map[string]struct {
		records []record
		want    []string
	}{
		"request and response": {
			[]record{client(1), data(1, out, 0, 0, "ask"), data(1, in, 0, 3, "answer"), at(kindFree, 6, 3)},
			[]string{"to_server ask", "to_client answer", "end 192.0.2.2:443 yes"},
		},
		"addresses come late": {
			[]record{data(1, out, 0, 0, "ask"), client(1), data(1, in, 0, 3, "answer"), at(kindFree, 6, 3)},
			[]string{"to_server ask", "to_client answer", "end 192.0.2.2:443 yes"},
		},
		"addresses never come": {
			[]record{data(1, out, 0, 0, "ask"), later, data(1, in, 0, 3, "answer")},
			[]string{"to_server ask", "to_client answer", "end  yes"},
		},
		"a loss inside": {
			[]record{client(1), data(1, out, 0, 0, "a"), data(1, out, 0, 5, "b"), at(kindFree, 0, 6)},
			[]string{"to_server a", "to_server gap 4", "to_server b", "end 192.0.2.2:443 partial"},
		},
		"a loss in the other direction": {
			[]record{client(1), data(1, in, 0, 9, "b"), at(kindFree, 1, 9)},
			[]string{"to_server gap 9", "to_client b", "end 192.0.2.2:443 partial"},
		},
		"a loss at the end": {
			[]record{client(1), data(1, out, 0, 0, "a"), at(kindFree, 0, 8)},
			[]string{"to_server a", "to_server gap 7", "end 192.0.2.2:443 partial"},
		},
		"bytes that are not sent": {
			[]record{client(1), {kind: kindGap, handle: 1, way: out, length: 5}, data(1, out, 0, 5, "b"), at(kindFree, 0, 6)},
			[]string{"to_server gap 5", "to_server b", "end 192.0.2.2:443 partial"},
		},
		"the socket is closed first": {
			[]record{client(1), at(kindHangup, 0, 0), data(1, in, 0, 0, "rest"), later, data(1, in, 4, 0, "too late")},
			[]string{"to_client rest", "end 192.0.2.2:443 yes"},
		},
		"the process ends": {
			[]record{client(1), client(2), data(1, in, 0, 0, "a"), {kind: kindExit}},
			[]string{"to_client a", "end 192.0.2.2:443 yes", "end 192.0.2.2:443 yes"},
		},
		"nothing of one that has ended": {
			[]record{client(1), data(1, in, 0, 0, "a"), at(kindFree, 1, 0), data(1, in, 1, 0, "b")},
			[]string{"to_client a", "end 192.0.2.2:443 yes"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, play(t, tt.records...)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWaitingPlaintextIsBounded(t *testing.T) {
	text := strings.Repeat("x", 16<<10)
	var records []record
	for i := range uint64(100) {
		records = append(records, data(1, out, 0, i*uint64(len(text)), text))
	}
	got := play(t, append(records, client(1), record{kind: kindFree, handle: 1, position: [2]uint64{0, 100 * uint64(len(text))}})...)
	if n := slices.IndexFunc(got, func(line string) bool { return strings.Contains(line, "gap") }); n < 1 || n > maxHeld/len(text) {
		t.Errorf("%d pieces were kept of %d", n, len(records))
	}
}

// FuzzDecodeRecord reads what a program in the kernel might send.
func FuzzDecodeRecord(f *testing.F) {
	f.Add(make([]byte, headSize+tieSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := decodeRecord(b); ok && r.kind == kindTie {
			decodeTie(r.data)
		}
	})
}
