// Package run keeps the long-lived parts of a program together: named functions that block go in, the first error and an
// orderly stop come out. It knows nothing of what the parts do.
package run

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Group runs named functions side by side until all of them have returned.
//
// Producers watch the context that they are given. Consumers ignore it and watch the end of their queue, so a stop drains
// in the order of the data: the source ends, closes its queue, and whoever reads that queue ends after its last item.
type Group struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu  sync.Mutex
	err error // of the first function that failed
}

// New returns a group whose functions are told to stop when ctx is done.
func New(ctx context.Context) *Group {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Group{ctx: ctx, cancel: cancel}
}

// Go starts a function. An error or a panic of it stops the whole group; a nil return leaves the others running.
// The error is prefixed by the name.
func (g *Group) Go(name string, f func(ctx context.Context) error) {
	g.wg.Go(func() {
		if err := Protect(func() error { return f(g.ctx) }); err != nil {
			g.fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// Stop tells all functions to stop, as the end of the context does.
func (g *Group) Stop() { g.cancel(nil) }

// Wait blocks until every function has returned. It returns the error of the first that failed, and nil after a stop from
// outside: a function that ends with its context's error has done as it was told.
func (g *Group) Wait() error {
	g.wg.Wait()
	g.cancel(nil)
	return g.err
}

func (g *Group) fail(err error) {
	if g.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	g.cancel(err)
}

// PanicError is what a panic was turned into.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.Value, e.Stack) }

// Protect calls f and returns its error, or a *PanicError.
func Protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}
