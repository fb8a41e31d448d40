package parsetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

const (
	maxRatio = 2.2                    // of the time for twice the input
	enough   = 4 * time.Millisecond   // a shorter run says nothing
	patience = 400 * time.Millisecond // a run that takes this long is long enough in any case
	attempts = 5                      // before noise of the machine is no longer an excuse
)

// Linear checks that twice the input costs at most 2.2 times as much, in pieces of 1, 64 and 16,384 bytes. conversation
// returns one of about n bytes; it should be of the costliest kind that grows with n.
func Linear(t *testing.T, p parse.Protocol, conversation func(n int) []Step) {
	t.Helper()
	if testing.Short() {
		t.Skip("timing takes long")
	}
	for _, piece := range []int{1, 64, 16 << 10} {
		t.Run(fmt.Sprint("pieces of ", piece), func(t *testing.T) { linear(t, p, conversation, piece) })
	}
}

func linear(t *testing.T, p parse.Protocol, conversation func(n int) []Step, piece int) {
	n := 8 << 10
	for cost(p, conversation(n), piece) < enough && n < 1<<28 {
		n *= 2
	}
	small, large := conversation(n), conversation(2*n)
	ratio := 0.0
	for range attempts {
		var a, b []time.Duration
		for range 7 {
			a, b = append(a, cost(p, small, piece)), append(b, cost(p, large, piece))
			if a[0] > patience {
				break
			}
		}
		slices.Sort(a)
		slices.Sort(b)
		if ratio = float64(b[len(b)/2]) / float64(a[len(a)/2]); ratio <= maxRatio {
			return
		}
	}
	t.Errorf("%d bytes cost %.2f times as much as %d, at most %.1f is linear", 2*n, ratio, n, maxRatio)
}

// cost plays the steps in pieces and returns how long the parser took. Events are dropped: only the parser is measured.
func cost(p parse.Protocol, steps []Step, piece int) time.Duration {
	now := start
	parser := p.New(parse.Output{
		Emit: func(event.Body) {}, Anomaly: func(string) {}, Become: func(string, *parse.Upgrade) {},
		Seen: func() time.Time { return now }, Exhausted: func() bool { return false }, Limits: parse.DefaultLimits,
	})
	began := time.Now()
	defer parser.End()
	var tail [2]window
	for _, s := range steps {
		if s.IsGap {
			tail[s.Dir] = window{}
			if parser.Gap(s.Dir, s.Gap) != nil {
				break
			}
			continue
		}
		w := &tail[s.Dir]
		for b := s.Data; len(b) > 0; {
			k := min(piece, len(b))
			w.add(b[:k])
			b = b[k:]
			n, err := parser.Parse(s.Dir, w.bytes())
			if err != nil {
				return time.Since(began)
			}
			w.from += n
		}
	}
	return time.Since(began)
}

// window keeps what a parser left at a cost that is linear in what it is offered.
type window struct {
	buf  []byte
	from int
}

func (w *window) bytes() []byte { return w.buf[w.from:] }

func (w *window) add(b []byte) {
	if w.from > len(w.buf)/2 || w.from == len(w.buf) {
		w.buf = w.buf[:copy(w.buf, w.buf[w.from:])]
		w.from = 0
	}
	w.buf = append(w.buf, b...)
}

// Steps returns a conversation of one direction.
func Steps(dir flow.Direction, data ...[]byte) []Step {
	steps := make([]Step, len(data))
	for i, b := range data {
		steps[i] = Step{Dir: dir, Data: b, At: i}
	}
	return steps
}
