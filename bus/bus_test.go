package bus

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/run"
	"github.com/vitrine-ndr/vitrine/internal/telemetry"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDir) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// testEvent returns the n-th event of a connection with a body of some bytes.
func testEvent(n, body int) *event.Event {
	tuple := flow.Tuple{Proto: flow.TCP,
		Client: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.1"), Port: 40000},
		Server: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.2"), Port: 443},
	}
	c := flow.NewConn(1, tuple, start)
	return &event.Event{
		ID: c.EventID(start, uint64(n)), Time: start, Origin: event.Origin{Vantage: event.Sensor}, Conn: c, Proto: "http1",
		Body: &event.HTTP{Tx: uint64(n), Method: "GET", URL: "/" + fmt.Sprint(n), Host: "example.com",
			Response: &event.Message{Content: event.Content{Size: int64(body), Body: []byte(strings.Repeat("x", body))}}},
	}
}

// openBus returns an embedded bus in the folder and its counters.
func openBus(t testing.TB, dir string, change ...func(*Config)) (*Bus, *prometheus.Registry) {
	t.Helper()
	cfg := DefaultConfig(dir)
	reg := prometheus.NewRegistry()
	cfg.Metrics = reg
	for _, f := range change {
		f(&cfg)
	}
	b, err := Open(t.Context(), cfg, testkit.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, reg
}

// counters returns what was counted, without what is 0.
func counters(t testing.TB, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	values, err := telemetry.Values(reg)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, v := range values {
		if v.Value != 0 {
			got[strings.TrimPrefix(v.Name, "vitrine_bus_")+v.Labels["reason"]] = v.Value
		}
	}
	return got
}

func wantCounters(t testing.TB, reg *prometheus.Registry, want map[string]float64) {
	t.Helper()
	if diff := cmp.Diff(want, counters(t, reg)); diff != "" {
		t.Errorf("counters -want +got:\n%s", diff)
	}
}

// publish sends events n.. and returns once they are acknowledged.
func publish(t testing.TB, b *Bus, from, n, body int) {
	t.Helper()
	p := b.Publisher(PublisherConfig{Vantage: event.Sensor, Block: true})
	g := run.New(t.Context())
	g.Go("publisher", p.Run)
	for i := range n {
		p.Emit(testEvent(from+i, body))
	}
	p.Close()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// consume collects batches until it has n events, then stops.
func consume(t testing.TB, b *Bus, n int, handle Handler) []Batch {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []Batch
	events := 0
	err := b.Consume(ctx, "store", func(ctx context.Context, batch Batch) error {
		if handle != nil {
			if err := handle(ctx, batch); err != nil {
				return err
			}
		}
		got = append(got, batch)
		if events += len(batch.Records); events >= n {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if events < n {
		t.Fatalf("got %d events, want %d", events, n)
	}
	return got
}

func txs(batches []Batch) (out []uint64) {
	for _, b := range batches {
		for _, r := range b.Records {
			out = append(out, r.HTTP.Tx)
		}
	}
	slices.Sort(out)
	return out
}

func upTo(n int) (out []uint64) {
	for i := range n {
		out = append(out, uint64(i))
	}
	return out
}

func TestEventsArriveWhole(t *testing.T) {
	b, reg := openBus(t, t.TempDir())
	publish(t, b, 0, 3, 100)
	got := consume(t, b, 3, nil)
	want := []*event.Record{testEvent(0, 100).Record(), testEvent(1, 100).Record(), testEvent(2, 100).Record()}
	if diff := cmp.Diff(want, got[0].Records, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantCounters(t, reg, map[string]float64{"in_total": 3, "out_total": 3})
}

func TestLargeVolumeArrivesOnce(t *testing.T) {
	const n = 3000
	b, reg := openBus(t, t.TempDir())
	publish(t, b, 0, n, 2000)
	got := consume(t, b, n, nil)
	if !slices.Equal(txs(got), upTo(n)) {
		t.Errorf("got %d events in %d batches, want each of %d once", len(txs(got)), len(got), n)
	}
	wantCounters(t, reg, map[string]float64{"in_total": n, "out_total": n})
}

func TestConsumerGoesOnWhereItEnded(t *testing.T) {
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		b, _ := openBus(t, dir)
		publish(t, b, 0, 5, 10)
		if got := consume(t, b, 5, nil); !got[0].Redelivered {
			t.Error("a batch that was there before the consumer began may have been handled before")
		}
		publish(t, b, 5, 2, 10)
	})
	b, _ := openBus(t, dir)
	got := consume(t, b, 2, nil)
	if want := []uint64{5, 6}; !slices.Equal(txs(got), want) || !got[0].Redelivered {
		t.Errorf("after a restart got %v, want %v", txs(got), want)
	}
}

func TestNewBatchesAreNotRedelivered(t *testing.T) {
	b, _ := openBus(t, t.TempDir())
	g := run.New(t.Context())
	got := make(chan Batch, 1)
	g.Go("store", func(ctx context.Context) error {
		return b.Consume(ctx, "store", func(_ context.Context, batch Batch) error { got <- batch; return nil })
	})
	for { // until the consumer has begun
		if _, err := b.js.Consumer(t.Context(), streamName, "store"); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	publish(t, b, 0, 1, 10)
	if batch := <-got; batch.Redelivered {
		t.Error("a new batch is marked as redelivered")
	}
	g.Stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestFailedBatchComesAgain(t *testing.T) {
	b, _ := openBus(t, t.TempDir())
	publish(t, b, 0, 1, 10)
	calls := 0
	got := consume(t, b, 1, func(context.Context, Batch) error {
		if calls++; calls < 2 {
			return errors.New("store is down")
		}
		if calls == 2 {
			panic("a bug")
		}
		return nil
	})
	if calls != 3 || !got[0].Redelivered {
		t.Errorf("%d calls, redelivered: %v", calls, got[0].Redelivered)
	}
}

func TestBatchesAreGathered(t *testing.T) {
	const n = gatherMost + 10
	b, _ := openBus(t, t.TempDir())
	for i := range n {
		publish(t, b, i, 1, 10)
	}
	got := consume(t, b, n, nil)
	if !slices.Equal(txs(got), upTo(n)) || len(got) != 2 || len(got[0].Records) != gatherMost || got[1].Seq != n {
		t.Errorf("%d events came in %d batches, the first of %d", len(txs(got)), len(got), len(got[0].Records))
	}
}

func TestGatheringIsBounded(t *testing.T) {
	const body = 1 << 20
	b, _ := openBus(t, t.TempDir())
	for i := range 20 {
		publish(t, b, i, 1, body)
	}
	for _, batch := range consume(t, b, 20, nil) {
		if most := gatherBytes/body + 1; len(batch.Records) > most {
			t.Errorf("a batch has %d MiB, want %d at the most", len(batch.Records), most)
		}
	}
}

// What can't be handled fails those that were gathered with it once, and then only itself.
func TestFailureNaksAllAndComesAgainAlone(t *testing.T) {
	b, _ := openBus(t, t.TempDir())
	for i := range 3 {
		publish(t, b, i, 1, 10)
	}
	var calls []int
	got := consume(t, b, 3, func(_ context.Context, batch Batch) error {
		calls = append(calls, len(batch.Records))
		if len(calls) > 1 && !batch.Redelivered {
			t.Error("a batch that failed is not marked as redelivered")
		}
		if len(batch.Records) > 1 {
			return errors.New("store refuses")
		}
		return nil
	})
	if want := []int{3, 1, 1, 1}; !slices.Equal(calls, want) || !slices.Equal(txs(got), upTo(3)) {
		t.Errorf("batches of %v events, want %v", calls, want)
	}
}

func TestPoisonIsGivenUp(t *testing.T) {
	b, reg := openBus(t, t.TempDir())
	for _, payload := range [][]byte{[]byte("no zstd"), b.codec.encode([]byte("{}\nno json\n")), b.codec.encode(make([]byte, maxDecoded+1))} {
		if _, err := b.js.Publish(t.Context(), subjectPrefix+"sensor", payload); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, b, 0, 1, 10)
	if got := txs(consume(t, b, 1, nil)); !slices.Equal(got, upTo(1)) {
		t.Errorf("got %v", got)
	}
	wantCounters(t, reg, map[string]float64{"in_total": 1, "out_total": 1, "poison_batches_total": 3})
}

func TestFullStreamDiscardsAndCounts(t *testing.T) {
	b, reg := openBus(t, t.TempDir(), func(c *Config) { c.MaxBytes = 64 << 10 })
	publish(t, b, 0, 1, 10)
	consume(t, b, 1, nil)
	for i := range 200 {
		// What is random does not compress; the ids alone fill the stream.
		publish(t, b, 1+20*i, 20, 10)
	}
	oldest := slices.Min(txs(consume(t, b, 20, nil)))
	first := (oldest-1)/20 + 2
	if first <= 2 {
		t.Fatalf("nothing was discarded: the first batch left is %d", first)
	}
	if got := counters(t, reg)["discarded_batches_total"]; got != float64(first-2) {
		t.Errorf("%v batches counted as discarded, want %d", got, first-2)
	}
}

func TestLiveSourceNeverWaits(t *testing.T) {
	b, reg := openBus(t, t.TempDir())
	p := b.Publisher(PublisherConfig{Vantage: event.Sensor, MaxPending: 10_000})
	for i := range 50 { // Run is not running: everything waits
		p.Emit(testEvent(i, 1000))
	}
	dropped := counters(t, reg)["dropped_totalqueue_full"]
	if dropped < 40 || dropped >= 50 {
		t.Errorf("%v events were dropped", dropped)
	}
	p.Close()
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCounters(t, reg, map[string]float64{"in_total": 50, "out_total": 50 - dropped, "dropped_totalqueue_full": dropped})
}

func TestBlockingSourceWaits(t *testing.T) {
	b, reg := openBus(t, t.TempDir())
	p := b.Publisher(PublisherConfig{Vantage: event.Sensor, Block: true, MaxPending: 10_000})
	g := run.New(t.Context())
	g.Go("publisher", p.Run)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 50 {
				p.Emit(testEvent(50*i+n, 1000))
			}
		})
	}
	wg.Wait()
	p.Close()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	p.Emit(testEvent(200, 1))
	wantCounters(t, reg, map[string]float64{"in_total": 201, "out_total": 200, "dropped_totalstopped": 1})
	if got := txs(consume(t, b, 200, nil)); !slices.Equal(got, upTo(200)) {
		t.Errorf("got %d events", len(got))
	}
}

func TestWhatJSONCannotHoldIsCounted(t *testing.T) {
	b, reg := openBus(t, t.TempDir())
	p := b.Publisher(PublisherConfig{Vantage: event.Sensor})
	ev := testEvent(0, 1)
	ev.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	p.Emit(ev)
	p.Emit(testEvent(1, 1))
	p.Close()
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCounters(t, reg, map[string]float64{"in_total": 2, "out_total": 1, "dropped_totalencoding": 1})
}

func TestTail(t *testing.T) {
	b, _ := openBus(t, t.TempDir())
	publish(t, b, 0, 1, 10)
	got := make(chan []*event.Record, 10)
	g := run.New(t.Context())
	g.Go("tail", func(ctx context.Context) error { return b.Tail(ctx, func(r []*event.Record) { got <- r }) })
	var tx uint64
	for i := 1; tx == 0; i++ { // until the tail has begun
		publish(t, b, i, 1, 10)
		select {
		case r := <-got:
			tx = r[0].HTTP.Tx
		case <-time.After(20 * time.Millisecond):
		}
	}
	g.Stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no folder", Config{}, "no folder given"},
		{"a file in place of the folder", DefaultConfig(file), "storage directory is not a directory"},
		{"nobody listens", Config{External: External{URL: "nats://127.0.0.1:1"}}, "connect to the bus"},
		{"no authorities", Config{External: External{URL: "tls://127.0.0.1:1", CA: file + "x"}}, "no such file"},
		{"bad authorities", Config{External: External{URL: "tls://127.0.0.1:1", CA: file}}, "no certificate in"},
		{"half a certificate", Config{External: External{URL: "tls://127.0.0.1:1", Certificate: file}}, "must be given together"},
		{"bad certificate", Config{External: External{URL: "tls://127.0.0.1:1", Certificate: file, Key: file}}, "read bus certificate"},
		{"no credentials", Config{External: External{URL: "nats://127.0.0.1:1", Credentials: file + "x"}}, "read bus credentials"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := Open(t.Context(), tc.cfg, testkit.Logger(t))
			if err == nil {
				b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestSettleWaitsForTheConsumer(t *testing.T) {
	b, _ := openBus(t, t.TempDir())
	release := make(chan struct{})
	handled := 0
	g := run.New(t.Context())
	g.Go("store", func(ctx context.Context) error {
		return b.Consume(ctx, "store", func(_ context.Context, batch Batch) error { <-release; handled += len(batch.Records); return nil })
	})
	for range 3 {
		publish(t, b, 0, 1, 10) // equal batches are one
		publish(t, b, 1, 1, 10)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.Settle(ctx, "store"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Settle returned %v although nothing was handled", err)
	}
	close(release)
	if err := b.Settle(t.Context(), "store"); err != nil || handled != 2 {
		t.Errorf("Settle returned %v after %d events, want 2", err, handled)
	}
	g.Stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestBehindFromTheFirstMoment asks right behind each message, before the server has told the consumer of it.
func TestBehindFromTheFirstMoment(t *testing.T) {
	b, _ := openBus(t, t.TempDir())
	cons, err := b.consumer(t.Context(), "store")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 300 {
		publish(t, b, n, 1, 10)
		seq := newest(t, b)
		wantBehind(t, b, seq, true)
		msg, err := cons.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := msg.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantBehind(t, b, seq, false)
	}
}

// TestBehindLostMessages has nobody wait for what the stream has lost, and everybody for what it has.
func TestBehindLostMessages(t *testing.T) {
	b, _ := openBus(t, t.TempDir(), func(c *Config) { c.MaxBytes = 64 << 10 })
	if _, err := b.consumer(t.Context(), "store"); err != nil {
		t.Fatal(err)
	}
	publish(t, b, 0, 20, 10)
	first := newest(t, b)
	wantBehind(t, b, first, true)
	for i := range 200 {
		publish(t, b, 20+20*i, 20, 10)
	}
	wantBehind(t, b, first, false)
	wantBehind(t, b, newest(t, b), true)
	wantBehind(t, b, newest(t, b)+1, false) // as if the server had lost its newest
}

func newest(t *testing.T, b *Bus) uint64 {
	t.Helper()
	state, err := b.streamState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state.LastSeq
}

func wantBehind(t *testing.T, b *Bus, seq uint64, want bool) {
	t.Helper()
	got, err := b.behind(t.Context(), "store", seq)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("behind message %d: %t, want %t", seq, got, want)
	}
}
