package parsetest

import (
	"fmt"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

const (
	maxRatio = 2.2                    // of the time for twice the input
	enough   = 4 * time.Millisecond   // a shorter run says nothing
	patience = 400 * time.Millisecond // a run that takes this long is told once
	runs     = 5                      // of which the shortest counts
	attempts = 8                      // before noise of the machine is no longer an excuse
	sizes    = 3                      // each twice the last: memory grows in steps, which are not the parser's
)

// Linear checks that twice the input costs at most 2.2 times as much, in pieces of 1 and of 16,384 bytes. conversation
// returns one of about n bytes; it should be of the costliest kind that grows with n.
func Linear(t *testing.T, p parse.Protocol, conversation func(n int) []Step) {
	t.Helper()
	if testing.Short() {
		t.Skip("timing takes long")
	}
	for _, piece := range []int{1, 16 << 10} {
		t.Run(fmt.Sprint("pieces of ", piece), func(t *testing.T) { linear(t, p, conversation, piece) })
	}
}

func linear(t *testing.T, p parse.Protocol, conversation func(n int) []Step, piece int) {
	var w windows // kept, since their growth is not the parser's
	n := 8 << 10
	for w.cost(p, conversation(n), piece) < enough && n < 1<<28 {
		n *= 2
	}
	ratio := 0.0
	for range sizes {
		if ratio = w.ratio(p, conversation(n), conversation(2*n), piece); ratio <= maxRatio {
			return
		}
		n *= 2
	}
	t.Errorf("%d bytes cost %.2f times as much as %d, at most %.1f is linear", n, ratio, n/2, maxRatio)
}

// ratio returns how many times as much as the small conversation the large one costs. One that is too much is measured again.
func (w *windows) ratio(p parse.Protocol, small, large []Step, piece int) (ratio float64) {
	w.cost(p, large, piece)
	for range attempts {
		a, b := w.cost(p, small, piece), w.cost(p, large, piece)
		for i := 1; i < runs && a < patience; i++ {
			a, b = min(a, w.cost(p, small, piece)), min(b, w.cost(p, large, piece))
		}
		if ratio = float64(b) / float64(a); ratio <= maxRatio {
			break
		}
	}
	return ratio
}

// cost plays the steps in pieces and returns the processor time that it took. Events are dropped: only the parser is
// measured.
func (w *windows) cost(p parse.Protocol, steps []Step, piece int) time.Duration {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection comes or does not: a jump that is not the parser's
	began := cpuTime()
	w.play(p, steps, piece)
	return cpuTime() - began
}

// cpuTime returns the processor time of this process: other processes are not its business.
func cpuTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(fmt.Sprintf("read processor time: %v", err)) // Linux always has it
	}
	return time.Duration(t.Nano())
}

func (w *windows) play(p parse.Protocol, steps []Step, piece int) {
	parser := p.New(parse.Output{
		Emit: func(event.Body) {}, Anomaly: func(string) {}, Become: func(string, *parse.Upgrade) {},
		Expect: func(parse.Listener, string, *parse.Upgrade) {},
		Seen:   func() time.Time { return start }, Exhausted: func() bool { return false }, Limits: parse.DefaultLimits,
	})
	defer parser.End()
	w[0].empty()
	w[1].empty()
	for _, s := range steps {
		w := &w[s.Dir]
		if s.IsGap {
			w.empty()
			if parser.Gap(s.Dir, s.Gap) != nil {
				return
			}
			continue
		}
		for b := s.Data; len(b) > 0; b = b[min(piece, len(b)):] {
			w.add(b[:min(piece, len(b))])
			n, err := parser.Parse(s.Dir, w.bytes())
			if err != nil {
				return
			}
			w.from += n
		}
	}
}

// window keeps what a parser left at a cost that is linear in what it is offered.
type window struct {
	buf  []byte
	from int
}

// windows are those of both directions.
type windows [2]window

func (w *window) empty() { w.buf, w.from = w.buf[:0], 0 }

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
