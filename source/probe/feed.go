package probe

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// lookTime is how often the agent looks for records by itself. The kernel wakes it only when many wait, or for a new process: so
// a busy host costs no wake-up for each record.
const lookTime = 50 * time.Millisecond

// BufferBytes is the memory of the buffer between the kernel and the agent: RING in bpf/transport.h.
const BufferBytes = 16 << 20

// feed brings records in the order in which they were made.
type feed interface {
	// read calls f for what there is, waiting up to lookTime for the first of it. The data is valid until f returns.
	read(f func(r *record)) error
	// lost returns how many records the kernel could not hand over since the last call, where only the reader can know.
	lost() uint64
	Close() error
}

// ringFeed is one buffer for all processors: its records have an order.
type ringFeed struct {
	reader *ringbuf.Reader
	rec    ringbuf.Record
}

func newRingFeed(m *ebpf.Map) (feed, error) {
	r, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, err
	}
	return &ringFeed{reader: r}, nil
}

func (f *ringFeed) read(each func(r *record)) error {
	f.reader.SetDeadline(time.Now().Add(lookTime))
	for {
		err := f.reader.ReadInto(&f.rec)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		if r, ok := decodeRecord(f.rec.RawSample); ok {
			each(&r)
		}
	}
}

func (f *ringFeed) lost() uint64 { return 0 }

func (f *ringFeed) Close() error { return f.reader.Close() }

// perfLookTime is lookTime where nothing wakes the agent for a new process, which it must look at before it ends.
const perfLookTime = 2 * time.Millisecond

// perfBuffer is the size of each processor's buffer.
const perfBuffer = 4 << 20

// maxWaiting bounds the records that wait to be put in order.
const maxWaiting = 64 << 20

// perfFeed is a buffer for each processor: old kernels have no other. Records wait until no earlier one can come from another
// processor any more.
type perfFeed struct {
	reader  *perf.Reader
	rec     perf.Record
	waiting []waitingRecord
	bytes   int
	gone    uint64
}

type waitingRecord struct {
	time uint64
	raw  []byte
}

func newPerfFeed(m *ebpf.Map) (feed, error) {
	r, err := perf.NewReaderWithOptions(m, perfBuffer, perf.ReaderOptions{Watermark: perfBuffer / 8})
	if err != nil {
		return nil, err
	}
	return &perfFeed{reader: r}, nil
}

func (f *perfFeed) read(each func(r *record)) error {
	begun := monotonic()
	f.reader.SetDeadline(time.Now().Add(perfLookTime))
	for {
		err := f.reader.ReadInto(&f.rec)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break // every buffer was read to its end
		}
		if err != nil {
			return err
		}
		f.gone += f.rec.LostSamples
		if r, ok := decodeRecord(f.rec.RawSample); ok {
			f.waiting = append(f.waiting, waitingRecord{r.time, slices.Clone(f.rec.RawSample)})
			f.bytes += len(f.rec.RawSample)
		}
		if f.bytes > maxWaiting {
			break
		}
	}
	f.release(begun, each)
	return nil
}

// release hands on what was made before the time: all buffers have been read since.
func (f *perfFeed) release(before uint64, each func(r *record)) {
	slices.SortStableFunc(f.waiting, func(a, b waitingRecord) int {
		switch {
		case a.time < b.time:
			return -1
		case a.time > b.time:
			return 1
		}
		return 0
	})
	n := 0
	for ; n < len(f.waiting) && (f.waiting[n].time < before || f.bytes > maxWaiting); n++ {
		f.bytes -= len(f.waiting[n].raw)
		if r, ok := decodeRecord(f.waiting[n].raw); ok {
			each(&r)
		}
	}
	f.waiting = slices.Delete(f.waiting, 0, n)
}

func (f *perfFeed) lost() uint64 {
	n := f.gone
	f.gone = 0
	return n
}

func (f *perfFeed) Close() error { return f.reader.Close() }

// monotonic is the clock of records.
func monotonic() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return uint64(ts.Nano())
}

// stopwatch measures the processor time of a goroutine that may be moved to another thread, by the clock of the thread that it is on.
// The goroutine must not be locked to a thread: a Sink's decoders are coroutines, which the goroutine that ends the stream must be able to
// continue (package iter, Pull).
type stopwatch struct {
	thread int
	begun  time.Duration
	last   time.Duration
}

func (s *stopwatch) start() { s.thread, s.begun = unix.Gettid(), threadTime() }

// stop returns the time since start. If the goroutine has been moved since then, that is unknown, and taken for what it was before.
func (s *stopwatch) stop() time.Duration {
	if end := threadTime(); unix.Gettid() == s.thread && end >= s.begun {
		s.last = end - s.begun
	}
	return s.last
}

func threadTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
