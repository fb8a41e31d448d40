package bus

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/run"
)

// childDir names the environment variable that makes this test binary a publisher and consumer in the folder.
const childDir = "VITRINE_TEST_BUS_CHILD"

// child publishes and consumes until it is killed, and prints what is acknowledged and what was handled.
func child() {
	ctx := context.Background()
	b, err := Open(ctx, DefaultConfig(os.Getenv(childDir)), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		panic(err)
	}
	g := run.New(ctx)
	g.Go("consume", func(ctx context.Context) error {
		return b.Consume(ctx, "store", func(_ context.Context, batch Batch) error {
			for _, r := range batch.Records {
				fmt.Println("handled", r.ID)
			}
			return nil
		})
	})
	g.Go("publish", func(ctx context.Context) error {
		base := rand.Int()
		for n := 0; ; n += 20 {
			p := b.Publisher(PublisherConfig{Vantage: event.Sensor, Block: true})
			var ids []event.ID
			for i := range 20 {
				ev := testEvent(base+n+i, 500)
				ids = append(ids, ev.ID)
				p.Emit(ev)
			}
			p.Close()
			if err := p.Run(ctx); err != nil {
				return err
			}
			for _, id := range ids {
				fmt.Println("acked", id)
			}
		}
	})
	panic(g.Wait())
}

// TestKill kills a program in the middle of publishing and consuming, over and over: what was acknowledged is delivered.
func TestKill(t *testing.T) {
	const kills = 5
	dir := t.TempDir()
	acked, handled := map[string]bool{}, map[string]bool{}
	for range kills {
		runChild(t, dir, time.Duration(300+rand.IntN(700))*time.Millisecond, acked, handled)
	}
	b, _ := openBus(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 3*ackWait)
	defer cancel()
	g := run.New(ctx)
	g.Go("store", func(ctx context.Context) error {
		return b.Consume(ctx, "store", func(_ context.Context, batch Batch) error {
			for _, r := range batch.Records {
				handled[r.ID.String()] = true
			}
			return nil
		})
	})
	if err := b.Settle(ctx, "store"); err != nil { // also what the last child was handling, which comes after ackWait
		t.Fatal(err)
	}
	g.Stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	lost := 0
	for id := range acked {
		if !handled[id] {
			lost++
		}
	}
	if len(acked) < 100 || lost > 0 {
		t.Errorf("%d of %d acknowledged events were never delivered", lost, len(acked))
	}
	t.Logf("%d events acknowledged over %d kills, %d delivered", len(acked), kills, len(handled))
}

// runChild starts the child, kills it a while after its first acknowledgement, and collects what it printed.
func runChild(t *testing.T, dir string, after time.Duration, acked, handled map[string]bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kill *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		what, id, ok := strings.Cut(lines.Text(), " ")
		if !ok || len(id) != 32 {
			continue // cut by the kill
		}
		switch what {
		case "acked":
			if acked[id] = true; kill == nil {
				kill = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			}
		case "handled":
			handled[id] = true
		}
	}
	if err := cmd.Wait(); err == nil || kill == nil {
		t.Fatalf("the child ended by itself: %v", err)
	}
}
