// Package governor keeps what it governs within a budget of CPU time and memory: what this process has used comes in each
// second, calls to pause and to resume go out. It knows nothing of what is paused, and leaves alone what else the process does.
//
// Over the limit for ten seconds: paused. Ten minutes later it is tried again; over the limit again within the next ten
// minutes, it stays paused until somebody resumes it or the process starts anew. All of these times are configuration.
package governor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/config"
)

// Config is the budget. Its fields are settings of the program that embeds it.
type Config struct {
	CPU    float64       `yaml:"cpu" doc:"CPU time that may be used, in percent of one core"`
	Memory config.Size   `yaml:"memory" doc:"memory that may be used"`
	Over   time.Duration `yaml:"over" doc:"how long the budget may be exceeded before the probe pauses"`
	Retry  time.Duration `yaml:"retry" doc:"how long the probe pauses, and how long it must keep to the budget afterwards"`
}

// The budgets of CPU time, in percent of one core: a container's processes compete within the share that the container has.
const (
	HostCPU      = 60
	ContainerCPU = 50
)

// DefaultConfig returns the budget on a host, or in a container.
func DefaultConfig(inContainer bool) Config {
	c := Config{CPU: HostCPU, Memory: 500 << 20, Over: 10 * time.Second, Retry: 10 * time.Minute}
	if inContainer {
		c.CPU = ContainerCPU
	}
	return c
}

// Validate rejects a budget that nothing could keep, and times that would make it flap.
func (c Config) Validate() error {
	switch {
	case !(c.CPU >= 1): // nor NaN
		return errors.New("cpu must be at least 1 percent")
	case c.Memory < 32<<20:
		return fmt.Errorf("memory is %s and must be at least 32MiB", c.Memory)
	case c.Over < 100*time.Millisecond:
		return fmt.Errorf("over is %s and must be at least 100ms", c.Over)
	case c.Retry < c.Over:
		return fmt.Errorf("retry is %s and must be at least over, which is %s", c.Retry, c.Over)
	}
	return nil
}

// interval is how often usage is read: each second, unless seconds are all there is.
func (c Config) interval() time.Duration { return min(time.Second, c.Over/10) }

// Deps are what a Governor reads and steers. It calls Pause and Resume in turn from the goroutine of Run, Pause first.
type Deps struct {
	// Name is what is governed, for the log.
	Name string
	// Read returns what has been used; nil stands for what a plain Meter reads.
	Read func() (Reading, error)
	// Pause stops what costs, and returns when that is done. Why is for people. An error ends Run: what can't be paused can't
	// be kept within a budget.
	Pause func(why string) error
	// Resume starts it again. After an error it is called again a pause later.
	Resume func() error
	Log    *slog.Logger
}

// Governor watches over one budget.
type Governor struct {
	deps    Deps
	cfg     Config
	byHand  chan struct{} // Resume was called
	machine machine       // belongs to Run

	mu    sync.Mutex
	shown State // guarded by mu: of the machine, once what it decided has been done
}

// New returns a Governor that does nothing until Run.
func New(cfg Config, deps Deps) *Governor {
	if deps.Read == nil {
		deps.Read = new(Meter).Read
	}
	deps.Log = deps.Log.With("governed", deps.Name)
	shown := State{Phase: Running, CPULimit: cfg.CPU, MemoryLimit: cfg.Memory}
	return &Governor{deps: deps, cfg: cfg, byHand: make(chan struct{}, 1), machine: machine{cfg: cfg, state: shown}, shown: shown}
}

// State tells what is going on: paused means that Pause has returned. It may be called at any time, by anyone.
func (g *Governor) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shown
}

// Resume ends a pause now, even one for good. It returns before that is done, and does nothing where nothing is paused.
func (g *Governor) Resume() {
	select {
	case g.byHand <- struct{}{}:
	default: // asked for already
	}
}

// Run reads the usage and acts on it until ctx is done. It leaves paused what is paused then. Usage that cannot be read ends it.
func (g *Governor) Run(ctx context.Context) error {
	ticker := time.NewTicker(g.cfg.interval())
	defer ticker.Stop()
	if err := g.step((*machine).observe); err != nil {
		return err
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-g.byHand:
			err = g.step((*machine).resume)
		case <-ticker.C:
			err = g.step((*machine).observe)
		}
		if err != nil {
			return err
		}
	}
}

// step reads the usage, lets the machine decide, and does what it decided.
func (g *Governor) step(decide func(*machine, time.Time, Reading) action) error {
	used, err := g.deps.Read()
	if err != nil {
		return fmt.Errorf("read own usage: %w", err)
	}
	switch decide(&g.machine, time.Now(), used) {
	case pause:
		err = g.pause()
	case resume:
		g.resume()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shown = g.machine.state
	return err
}

func (g *Governor) pause() error {
	why := g.machine.state.String()
	g.deps.Log.Warn("over budget", "state", why)
	if err := g.deps.Pause(why); err != nil {
		return fmt.Errorf("pause the %s: %w", g.deps.Name, err)
	}
	debug.FreeOSMemory() // so that the memory of what was stopped doesn't count against the next try
	return nil
}

func (g *Governor) resume() {
	if err := g.deps.Resume(); err != nil {
		g.machine.failed(time.Now(), err)
		g.deps.Log.Error("cannot resume", "error", err, "state", g.machine.state.String())
		return
	}
	g.deps.Log.Info("resumed", "state", g.machine.state.String())
}
