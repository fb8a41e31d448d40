package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/bus"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/governor"
	"github.com/vitrine-ndr/vitrine/internal/run"
	"github.com/vitrine-ndr/vitrine/server"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/filters"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/probe"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
)

// probeRole is the probe within vitrine up: what the server sees of it, and its budget.
type probeRole struct {
	probe     *probe.Probe
	governor  *governor.Governor
	publisher *bus.Publisher
	inspector *inspect.Inspector
	sink      source.Sink
	flush     func()
	origin    event.Origin
	log       *slog.Logger

	mu    sync.Mutex
	rules filter.Rules // in force
	off   error        // why it does not run any more
}

// openProbe decides whether the probe can run. A filter that was set in the console comes before the configuration's, from the first
// moment on.
func (m *machine) openProbe(ctx context.Context) error {
	switch {
	case m.cfg.NoProbe:
		m.probeOff.Off, m.probeOff.Why = api.TurnedOff, "turned off by --no-probe"
		return nil
	case os.Geteuid() != 0:
		m.probeOff.Off, m.probeOff.Why = api.NotRoot, "seeing into programs needs root"
		return nil
	}
	kept, changed, err := filters.Load(ctx, m.state)
	if err != nil {
		return err
	}
	log := m.log.With("component", "probe")
	p := &probeRole{rules: m.cfg.Probe.Filter, origin: event.Origin{Agent: m.host, Vantage: event.Probe}, flush: m.join.Flush, log: log}
	if changed {
		p.rules = kept.Filter
	}
	p.publisher = m.openPublisher(event.Probe)
	p.probe, err = probe.New(probe.Config{Filter: p.rules, Seed: flow.NewSeed(), Ignore: m.isConsole(), Coverage: p.tell}, log)
	if err != nil {
		return err
	}
	p.governor = governor.New(m.cfg.Probe.Budget, governor.Deps{
		Name: "probe", Read: p.usage, Pause: func(string) error { return p.probe.Pause() }, Resume: p.probe.Resume, Log: log,
	})
	p.inspector = newInspector(p.origin, p.publisher.Emit, log)
	p.sink = m.sink(m.join.Probe(p.inspector), m.after)
	m.probe = p
	return nil
}

func (m *machine) roleOfProbe() api.RoleOf {
	r := m.probeOff
	if m.probe != nil {
		r = m.probe.role()
	}
	r.Name = "probe"
	return r
}

// sensorSink is where the sensor's connections go: past what the probe sees too, and what the gateway relays.
func (m *machine) sensorSink() source.Sink {
	sink := m.sink(m.inspector, m.after)
	if m.probe != nil {
		sink = m.join.Sensor(sink)
	}
	if m.gateway != nil {
		sink = m.relayed.Sensor(sink)
	}
	return sink
}

// run returns when no event of the probe can come any more. A probe that cannot start, or cannot be kept within its budget, is off from
// then on: everything else goes on without it.
func (p *probeRole) run(ctx context.Context) error {
	g := run.New(ctx)
	g.Go("see into programs", func(ctx context.Context) error {
		defer p.flush()
		return probe.Explain(p.probe.Run(ctx, p.sink))
	})
	g.Go("keep to the budget", p.governor.Run)
	if err := g.Wait(); err != nil {
		p.log.Error("the probe is off", "err", err)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.off = err
	}
	return nil
}

// role tells whether the probe runs, and if not, why.
func (p *probeRole) role() api.RoleOf {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off == nil {
		return api.RoleOf{On: true, Why: "seeing into this machine's programs"}
	}
	return api.RoleOf{Off: offBy(p.off), Why: p.off.Error()}
}

// offBy returns the code of what has ended the probe; empty if it is nothing usual.
func offBy(err error) api.Off {
	switch {
	case errors.Is(err, probe.ErrPermission):
		return api.NotPermitted
	case errors.Is(err, probe.ErrOwnPIDs):
		return api.OwnProcessIDs
	}
	return ""
}

// usage is what the probe takes of this program: the time of its thread, and what its parsers hold beside the buffers in the kernel.
func (p *probeRole) usage() (governor.Reading, error) {
	return governor.Reading{CPU: p.probe.CPU(), Memory: p.inspector.Stats().Memory + probe.BufferBytes}, nil
}

// tell makes an event of a change in coverage.
func (p *probeRole) tell(c *probe.Coverage) {
	now := time.Now()
	p.publisher.Emit(&event.Event{
		ID: flow.NewID(now, uint16(c.Process.PID), uint64(now.UnixNano())), Time: now, Origin: p.origin,
		Body: &c.Coverage, Process: c.Process, Container: c.Container,
	})
}

// Status implements server.Probe.
func (p *probeRole) Status() api.Probe {
	if role := p.role(); !role.On {
		return api.Probe{State: "off", Off: role.Off, Detail: role.Why}
	}
	g := p.governor.State()
	s := api.Probe{
		State: "running", Since: &g.Since, CPU: g.CPU / 100, CPULimit: g.CPULimit / 100,
		Memory: uint64(g.Memory), MemoryLimit: uint64(g.MemoryLimit),
	}
	if g.IsPaused() {
		s.State, s.Reason, s.Detail = "paused", string(flow.PausedOverBudget), g.Why
		s.Cause, s.Taken = string(g.Cause), g.Taken
		if g.Cause == governor.OverCPU {
			s.Taken /= 100
		}
		if !g.Until.IsZero() {
			s.NextTry = &g.Until
		}
	}
	for _, c := range p.probe.Capabilities() {
		s.Capabilities = append(s.Capabilities, api.KernelCapability{Name: c.Name, Available: c.Available, Lack: string(c.Lack), Detail: c.Detail})
	}
	for _, l := range p.probe.Libraries() {
		s.Libraries = append(s.Libraries, api.HookedLibrary{Library: l.Name, Version: l.Version, Path: l.Path, Hooks: l.Hooks, Processes: l.Processes})
	}
	for _, l := range p.probe.Stats().Losses {
		s.Lost = append(s.Lost, api.ProbeLoss{Reason: l.Reason, Count: l.Count})
	}
	return s
}

// Coverage implements server.Probe.
func (p *probeRole) Coverage() []api.ProcessCoverage {
	var out []api.ProcessCoverage
	for _, c := range p.probe.Coverage() {
		out = append(out, api.ProcessCoverage{Process: *c.Process, Container: c.Container, Coverage: c.Coverage, Since: c.Since, Bytes: c.Plaintext})
	}
	return out
}

// Filter implements server.Probe.
func (p *probeRole) Filter() filter.Rules {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules
}

// SetFilter implements server.Probe.
func (p *probeRole) SetFilter(_ context.Context, rules filter.Rules) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.probe.SetFilter(rules); err != nil {
		return err
	}
	p.rules = rules
	return nil
}

// Resume implements server.Probe.
func (p *probeRole) Resume(context.Context) error {
	if !p.governor.State().IsPaused() {
		return server.ErrNotPaused
	}
	p.governor.Resume()
	return nil
}
