package chdb

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pool returns a pool whose connections lead nowhere: who gets one is what is tested.
func pool(n int) *Pool {
	p := newPool(n)
	for range n {
		p.free <- new(Conn)
	}
	return p
}

func TestInsertsAreNotHeldUpByOtherStatements(t *testing.T) {
	const n = 4
	p := pool(n)
	ctx := t.Context()
	release := make(chan struct{})
	running := make(chan struct{}, 2*n)
	var all sync.WaitGroup
	for range 2 * n { // more than there are connections
		all.Go(func() {
			if err := p.Do(ctx, func(*Conn) error { running <- struct{}{}; <-release; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	for range n - 1 {
		<-running
	}
	soon, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := p.DoInsert(soon, func(*Conn) error { return nil }); err != nil {
		t.Errorf("an insert had to wait: %v", err)
	}
	if len(running) > 0 {
		t.Error("a statement has the connection that is for inserts")
	}
	close(release)
	all.Wait()
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	p := pool(1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := p.Do(t.Context(), func(*Conn) error { // the only connection serves everything
		return errors.Join(
			p.Do(ctx, func(*Conn) error { return errors.New("it ran") }),
			p.DoInsert(ctx, func(*Conn) error { return errors.New("it ran") }))
	})
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "context deadline exceeded\ncontext deadline exceeded" {
		t.Errorf("got %v", err)
	}
	for _, do := range []func(context.Context, func(*Conn) error) error{p.Do, p.DoInsert} {
		if err := do(t.Context(), func(*Conn) error { return nil }); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
}
