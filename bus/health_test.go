package bus

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/run"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// smallDisk mounts a file system of its own, on which a file of some bytes takes space until it is removed.
func smallDisk(t *testing.T, options string, filler int) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the bus is closed
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	file = filepath.Join(dir, "filler")
	if err := os.WriteFile(file, make([]byte, filler), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

// waitFor fails the test if a condition does not come true.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// down returns what is reported of the bus, or "".
func down(b *Bus) string {
	if _, err := b.Health(); err != nil {
		return err.Error()
	}
	return ""
}

// A full disk is reported, and what waited goes on once there is space: nothing is lost, nothing comes twice.
func TestFullDiskIsReportedAndSurvived(t *testing.T) {
	const n = 40
	dir, filler := smallDisk(t, "size=32m", 30<<20)
	b, _ := openBus(t, filepath.Join(dir, "bus"))
	events := make([]*event.Event, n)
	for i := range events {
		events[i] = testEvent(i, 0)
		events[i].Body.(*event.HTTP).Response.Body = []byte(noise(byte(i), 200<<10))
	}
	handled := make(chan Batch, n)
	g := run.New(t.Context())
	g.Go("store", func(ctx context.Context) error {
		return b.Consume(ctx, "store", func(_ context.Context, batch Batch) error { handled <- batch; return nil })
	})
	p := b.Publisher(PublisherConfig{Vantage: event.Sensor, Block: true})
	done := make(chan struct{})
	g.Go("publisher", func(ctx context.Context) error { defer close(done); return p.Run(ctx) })
	for _, e := range events {
		p.Emit(e)
	}
	p.Close()
	waitFor(t, "a report of the full disk", func() bool { return down(b) != "" })
	if got := down(b); !strings.Contains(got, "no space left") {
		t.Errorf("the report does not say why: %s", got)
	}
	waitFor(t, "the first new start, for which there is no space", func() bool {
		b.health.mu.Lock()
		defer b.health.mu.Unlock()
		return !b.health.restarted.IsZero()
	})
	time.Sleep(time.Second) // in which it fails
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the events to be published", func() bool { return down(b) == "" })
	<-done
	var got []Batch
	for len(txs(got)) < n {
		select {
		case batch := <-handled:
			got = append(got, batch)
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d events came", len(txs(got)), n)
		}
	}
	if err := b.Settle(t.Context(), "store"); err != nil {
		t.Fatal(err)
	}
	g.Stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(txs(got), upTo(n)) {
		t.Errorf("got %v", txs(got))
	}
}

// A server that has lost what a consumer acknowledged delivers it again as if it were new: the consumer knows better.
func TestForgottenDeliveriesAreRedelivered(t *testing.T) {
	dir := t.TempDir()
	b, _ := openBus(t, dir)
	handled := make(chan Batch, 10)
	g := run.New(t.Context())
	g.Go("store", func(ctx context.Context) error {
		return b.Consume(ctx, "store", func(_ context.Context, batch Batch) error { handled <- batch; return nil })
	})
	publish(t, b, 0, 3, 10)
	<-handled
	if err := b.Settle(t.Context(), "store"); err != nil {
		t.Fatal(err)
	}
	if err := b.server.ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "jetstream", "$G", "streams", streamName, "obs", "store", "o.dat")); err != nil {
		t.Fatal(err)
	}
	if err := b.server.restart(); err != nil {
		t.Fatal(err)
	}
	if again := <-handled; !again.Redelivered || !slices.Equal(txs([]Batch{again}), upTo(3)) {
		t.Errorf("events %v came again, marked so: %v", txs([]Batch{again}), again.Redelivered)
	}
	g.Stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}
