package run

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/internal/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func block(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestWait(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		name string
		f    func(context.Context) error
		want string // prefix of the error
	}{
		{"nil leaves the others running", func(context.Context) error { return nil }, ""},
		{"an error stops all", func(context.Context) error { return boom }, "part: boom"},
		{"a panic is an error", func(context.Context) error { panic("ouch") }, "part: panic: ouch"},
		{"a cancellation of its own is an error", func(context.Context) error { return context.Canceled }, "part: context canceled"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := New(t.Context())
				g.Go("part", tc.f)
				stopped := false
				g.Go("other", func(ctx context.Context) error { defer func() { stopped = true }(); return block(ctx) })
				synctest.Wait()
				if stopped != (tc.want != "") {
					t.Errorf("other stopped: %v", stopped)
				}
				g.Stop()
				if err := g.Wait(); (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
					t.Errorf("Wait returned %v, want %q", err, tc.want)
				}
			})
		})
	}
}

func TestFirstErrorWins(t *testing.T) {
	first := errors.New("first")
	g := New(t.Context())
	g.Go("later", func(ctx context.Context) error { <-ctx.Done(); return errors.New("second") })
	g.Go("sooner", func(context.Context) error { return first })
	if err := g.Wait(); !errors.Is(err, first) {
		t.Errorf("Wait returned %v", err)
	}
}

func TestStopFromOutsideIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := New(ctx)
	g.Go("part", block)
	cancel()
	if err := g.Wait(); err != nil {
		t.Errorf("Wait returned %v", err)
	}
}

// TestStopDrainsInTheOrderOfTheData joins three stages as programs do and stops them at a random moment.
func TestStopDrainsInTheOrderOfTheData(t *testing.T) {
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		a, b := queue.New[int](4), queue.New[int](4)
		var sent, got []int
		g := New(ctx)
		g.Go("source", func(ctx context.Context) error {
			defer a.Close()
			for i := 0; ctx.Err() == nil && a.Put(i); i++ {
				sent = append(sent, i)
			}
			return nil
		})
		g.Go("stage", func(context.Context) error {
			defer a.Leave()
			defer b.Close()
			for i := range a.All() {
				b.Put(i)
			}
			return nil
		})
		g.Go("store", func(context.Context) error {
			defer b.Leave()
			for i := range b.All() {
				if got = append(got, i); i == 100 {
					cancel()
				}
			}
			return nil
		})
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(sent, got) {
			t.Fatalf("sent %d items, stored %d", len(sent), len(got))
		}
		cancel()
	}
}

// TestFailedReaderDoesNotWedgeItsWriter has a consumer that fails while its producer waits for room.
func TestFailedReaderDoesNotWedgeItsWriter(t *testing.T) {
	boom := errors.New("disk full")
	q := queue.New[int](1)
	g := New(t.Context())
	g.Go("source", func(context.Context) error {
		defer q.Close()
		for i := 0; q.Put(i); i++ {
		}
		return nil
	})
	g.Go("store", func(context.Context) error {
		defer q.Leave()
		for range q.All() {
			return boom
		}
		return nil
	})
	if err := g.Wait(); !errors.Is(err, boom) {
		t.Errorf("Wait returned %v", err)
	}
}
