package parsetest

import (
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// fuzzLimits are small, so that what happens beyond them is tried as well.
var fuzzLimits = parse.Limits{Body: 1 << 10, Header: 4 << 10, Hashed: 8 << 10, Decompressed: 256 << 10, Ratio: 100, Open: 16}

// Fuzz drives a parser with arbitrary bytes in arbitrary pieces, directions and gaps, from the playbooks below dir. It
// checks the contract of parse.Parser, that the number of events is bounded by that of the bytes, and that other pieces
// of the same bytes give the same events. A schedule says what comes next, three bytes an entry: the
// direction (bit 0), whether it is a gap (bit 1), and a length.
func Fuzz(f *testing.F, dir string, p parse.Protocol, more ...parse.Protocol) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		f.Fatalf("find playbooks in %s: got %d, %v", dir, len(files), err)
	}
	for _, file := range files {
		b, err := readPlaybook(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(schedule(b.Steps))
	}
	f.Fuzz(func(t *testing.T, client, server, schedule []byte) {
		steps := follow(client, server, schedule)
		whole := newConn(p, more, fuzzLimits)
		if err := whole.play(steps); err != nil {
			t.Fatal(err)
		}
		if most := 16 + 4*(len(client)+len(server)+len(schedule)); len(whole.said) > most {
			t.Fatalf("%d events, at most %d are plausible", len(whole.said), most)
		}
		if p.Proto == flow.UDP {
			return
		}
		cut := newConn(p, more, fuzzLimits)
		if err := cut.play(split(steps, rand.New(rand.NewPCG(3, 4)), 3)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(whole.lines(), cut.lines()); diff != "" {
			t.Fatalf("events change with the pieces (-whole +cut):\n%s", diff)
		}
		p.Probe(flow.ToServer, client[:min(len(client), parse.MaxProbe)])
		p.Probe(flow.ToClient, server[:min(len(server), parse.MaxProbe)])
	})
}

const (
	entrySize = 3
	entryGap  = 2
)

// schedule is the reverse of follow.
func schedule(steps []Step) (client, server, plan []byte) {
	for _, s := range steps {
		kind, n := byte(s.Dir), len(s.Data)
		if s.IsGap {
			kind, n = kind|entryGap, s.Gap
		}
		for {
			k := min(n, 1<<16-1)
			plan = append(plan, kind, byte(k>>8), byte(k))
			if n -= k; n == 0 {
				break
			}
		}
		if s.Dir == flow.ToServer {
			client = append(client, s.Data...)
		} else {
			server = append(server, s.Data...)
		}
	}
	return client, server, plan
}

// follow returns the steps that the schedule makes of the bytes. What the schedule does not reach is not sent.
func follow(client, server, plan []byte) []Step {
	left := [2][]byte{client, server}
	var steps []Step
	for ; len(plan) >= entrySize; plan = plan[entrySize:] {
		s := Step{Dir: flow.Direction(plan[0] & 1), IsGap: plan[0]&entryGap != 0, At: len(steps)}
		n := int(binary.BigEndian.Uint16(plan[1:]))
		if s.IsGap {
			s.Gap = n
		} else {
			n = min(n, len(left[s.Dir]))
			if n == 0 {
				continue
			}
			s.Data, left[s.Dir] = left[s.Dir][:n], left[s.Dir][n:]
		}
		steps = append(steps, s)
	}
	return steps
}
