package bus

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/run"
)

// BenchmarkBus publishes and consumes at once, as one machine does; every batch is synced to disk. An event is an HTTP transaction
// with 500 bytes of body.
func BenchmarkBus(b *testing.B) {
	bus, err := Open(b.Context(), DefaultConfig(b.TempDir()), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		b.Fatal(err)
	}
	defer bus.Close()
	p := bus.Publisher(PublisherConfig{Vantage: event.Sensor, Block: true})
	ev := testEvent(0, 500)
	g := run.New(b.Context())
	g.Go("publish", p.Run)
	got := 0
	g.Go("consume", func(ctx context.Context) error {
		return bus.Consume(ctx, "store", func(_ context.Context, batch Batch) error {
			if got += len(batch.Records); got >= b.N {
				g.Stop()
			}
			return nil
		})
	})
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		ev.ID = ev.Conn.EventID(start, uint64(i)) // equal batches would be taken for repetitions
		p.Emit(ev)
	}
	p.Close()
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
