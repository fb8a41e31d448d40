// Package parsetest replays playbooks against parsers. A playbook is a conversation in a txtar file and the events that it
// must give; a parser passes if the events are the same however the bytes are cut, if it lives through the loss of each
// segment, if its cost is linear, and if no bytes at all make it break the contract of parse.Parser. The package knows
// no protocol; the connection that it plays obeys the same contract as package inspect.
//
// The script comes before the first file of the archive. Each line is one step, a # begins a comment line:
//
//	> GET / HTTP/1.1\r\n\r\n     a segment (UDP: a datagram) from the client, with Go's string escapes
//	< HTTP/1.1 200 OK\r\n        one from the server
//	>hex 16 03 01                the same in hexadecimal
//	>repeat 1000 abc\x00         a text so many times
//	>file body.html              a file of the archive, byte for byte
//	+ Host: a\r\n                more for the segment before; +hex, +repeat and +file too
//	gap < 120                    120 bytes from the server that were never seen; 0 if their number is unknown
//
// The file "want" holds one event a line as a JSON object of event.Fields that are not zero; `go test -update` writes
// it. A further line tells of a Become, of an Expect, or that the parser gave up. Segments are one millisecond apart.
package parsetest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// splits is how many random ways of cutting each playbook is replayed in.
const splits = 200

var update = flag.Bool("update", false, "write the events of playbooks instead of comparing them")

// Run replays each playbook below dir whole, byte by byte and at random splits, and compares the events. After a Become
// the connection goes on with the protocol of that name if it is one of those given, else it is over. Datagrams are
// never split.
func Run(t *testing.T, dir string, p parse.Protocol, more ...parse.Protocol) {
	t.Helper()
	each(t, dir, func(t *testing.T, b *playbook) {
		whole := replay(t, p, more, b.Steps)
		if *update {
			if err := b.write(whole); err != nil {
				t.Fatal(err)
			}
		} else if diff := cmp.Diff(b.Want, whole); diff != "" {
			t.Fatalf("events differ (-want +got):\n%s", diff)
		}
		checkProbe(t, p, b.Steps)
		if p.Proto == flow.UDP {
			return
		}
		random := rand.New(rand.NewPCG(1, 2))
		for i := range splits + 1 {
			most := 1 // byte by byte first, then pieces of up to 2, 4, 8 ... bytes
			if i > 0 {
				most = 2 << (i % 12)
			}
			got := replay(t, p, more, split(b.Steps, random, most))
			if diff := cmp.Diff(whole, got); diff != "" {
				t.Fatalf("events change when segments are cut into pieces of up to %d bytes (-whole +cut):\n%s", most, diff)
			}
		}
	})
}

// Loss replays each playbook below dir with each segment missing in turn, with its length known and unknown. It checks that
// the parser neither panics nor breaks its contract, and that it makes nothing up: whatever it has a hash of, and so calls
// complete, is something that was really sent.
func Loss(t *testing.T, dir string, p parse.Protocol, more ...parse.Protocol) {
	t.Helper()
	each(t, dir, func(t *testing.T, b *playbook) {
		sent := hashes(Bodies(t, b.Steps, p, more...))
		seen := !slices.ContainsFunc(b.Steps, func(s Step) bool { return s.IsGap }) // all that was sent
		for i := range b.Steps {
			for _, n := range []int{len(b.Steps[i].Data), 0} {
				lossy := append([]Step(nil), b.Steps...)
				lossy[i] = Step{Dir: b.Steps[i].Dir, Gap: n, IsGap: true}
				for hash := range hashes(Bodies(t, lossy, p, more...)) {
					if seen && !sent[hash] {
						t.Errorf("without segment %d there is a content with hash %s, which was never sent", i+1, hash)
					}
				}
			}
		}
	})
}

// Bodies returns what a conversation gives: that of real peers is compared to what they know. Anomalies are among them.
func Bodies(t testing.TB, steps []Step, p parse.Protocol, more ...parse.Protocol) []event.Body {
	t.Helper()
	c := newConn(p, more, parse.DefaultLimits)
	if err := c.play(steps); err != nil {
		t.Fatal(err)
	}
	return c.bodies
}

// hashes returns the hashes of contents in events.
func hashes(bodies []event.Body) map[string]bool {
	found := map[string]bool{}
	for _, b := range bodies {
		r := (&event.Event{Body: b}).Record()
		for i := range event.Fields {
			if f := &event.Fields[i]; strings.HasSuffix(f.Name, ".sha256") {
				if v := f.Value(r); v.IsValid() && v.String() != "" {
					found[v.String()] = true
				}
			}
		}
	}
	return found
}

func each(t *testing.T, dir string, f func(*testing.T, *playbook)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("find playbooks in %s: got %d, %v", dir, len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name[:len(name)-len(".txtar")], func(t *testing.T) {
			b, err := readPlaybook(file)
			if err != nil {
				t.Fatal(err)
			}
			f(t, b)
		})
	}
}

// replay plays the steps and fails the test if the parser breaks its contract.
func replay(t testing.TB, p parse.Protocol, more []parse.Protocol, steps []Step) []string {
	t.Helper()
	c := newConn(p, more, parse.DefaultLimits)
	if err := c.play(steps); err != nil {
		t.Fatal(err)
	}
	return c.lines()
}

// checkProbe checks for both directions that more bytes never change the mind of a Probe once it has said Yes or No.
func checkProbe(t *testing.T, p parse.Protocol, steps []Step) {
	t.Helper()
	var sent [2][]byte
	for _, s := range steps {
		if s.IsGap {
			break
		}
		sent[s.Dir] = append(sent[s.Dir], s.Data...)
		if p.Proto == flow.UDP && len(sent[0])+len(sent[1]) > 0 {
			break
		}
	}
	for dir, b := range sent {
		last, from := parse.Maybe, 1
		if p.Proto == flow.UDP {
			from = max(1, len(b))
		}
		for n := from; n <= min(len(b), parse.MaxProbe); n++ {
			m := p.Probe(flow.Direction(dir), b[:n])
			if last != parse.Maybe && m != last {
				t.Fatalf("probe %s changes its mind from %s to %s at %d bytes", flow.Direction(dir), match(last), match(m), n)
			}
			last = m
		}
	}
}

func match(m parse.Match) string {
	switch m {
	case parse.No:
		return "No"
	case parse.Maybe:
		return "Maybe"
	case parse.Yes:
		return "Yes"
	}
	return fmt.Sprintf("Match(%d)", int(m))
}

// split cuts the data of steps into pieces of up to most bytes, in the same order.
func split(steps []Step, random *rand.Rand, most int) []Step {
	var out []Step
	for _, s := range steps {
		for len(s.Data) > 0 {
			piece := s
			n := min(1+random.IntN(most), len(s.Data))
			piece.Data, s.Data = s.Data[:n], s.Data[n:]
			out = append(out, piece)
		}
		if s.IsGap {
			out = append(out, s)
		}
	}
	return out
}

func (b *playbook) write(lines []string) error {
	b.Want = lines
	if err := os.WriteFile(b.file, b.format(), 0o644); err != nil {
		return fmt.Errorf("update playbook: %w", err)
	}
	return nil
}
