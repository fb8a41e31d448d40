// Package probe is the vantage point inside of programs: it reads the plaintext of TLS connections of this machine's processes where
// they hand it to their TLS library. Programs in the kernel (package bpf) send what TLS calls move; out come Streams, as from every
// source, and a list that says for each process whether it is seen into. It needs no certificate, no proxy and no restart of anything.
// It knows nothing of protocols.
//
// A byte's way: a call of SSL_read in some process → bpf/tls.h → feed.read → conns.record → conn.take → source.Stream.Data.
package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
	"github.com/vitrine-ndr/vitrine/source/probe/hooks"
	"github.com/vitrine-ndr/vitrine/source/probe/process"
)

// Config is what a Probe needs. The zero Config is right for a host.
type Config struct {
	Proc   string       // where the host's /proc is; empty: /proc
	Filter filter.Rules // whose plaintext is taken
	Seed   flow.Seed
	// Ignore tells which connections are none of anybody's business, such as those of the console. Nil: none.
	Ignore func(flow.Tuple) bool
	// Coverage takes each change in what is seen into. It is called by one goroutine at a time and must not wait. Nil: nobody wants it.
	Coverage func(*Coverage)
	// Ready is called once everything that runs at the start is hooked. Nil: nobody waits for it.
	Ready func()
	// Legacy uses the programs for kernels before 5.8, Single puts hooks one by one: for tests of what old kernels need.
	Legacy, Single bool
}

// tickTime is how often timers of connections are looked at.
const tickTime = 250 * time.Millisecond

// noticeRoom is how many notices of processes may wait for the scanner. A later look at all processes makes up for those that are lost.
const noticeRoom = 4096

// Probe is a source.Source.
type Probe struct {
	cfg      Config
	log      *slog.Logger
	table    *process.Table
	programs *programs
	coverage *coverage
	stats    stats

	steering sync.Mutex         // held while it is paused, resumed or ended
	drain    chan chan struct{} // asks the reader to end all connections, and to close what comes

	mu      sync.Mutex
	kernel  *kernel       // nil unless it runs
	scanner *scanner      // likewise
	stopped chan struct{} // likewise; closed once nobody reads any more
	losses  []Loss        // in the kernel, once it has ended
	paused  bool
}

type stats struct {
	cpu                                                        atomic.Int64 // ns
	conns, untied, dropped, received, plaintext, lost, notices atomic.Uint64
}

// New returns a Probe that does nothing until Run.
func New(cfg Config, log *slog.Logger) (*Probe, error) {
	if cfg.Proc == "" {
		cfg.Proc = "/proc"
	}
	if cfg.Ignore == nil {
		cfg.Ignore = func(flow.Tuple) bool { return false }
	}
	if cfg.Coverage == nil {
		cfg.Coverage = func(*Coverage) {}
	}
	if cfg.Ready == nil {
		cfg.Ready = func() {}
	}
	f, err := filter.Compile(cfg.Filter)
	if err != nil {
		return nil, err
	}
	table := process.New(cfg.Proc)
	p := &Probe{cfg: cfg, log: log, table: table, programs: newPrograms(table, f), coverage: newCoverage(cfg.Coverage)}
	p.drain = make(chan chan struct{})
	return p, nil
}

// Run sees into processes until ctx is done. Then it takes every hook out again.
func (p *Probe) Run(ctx context.Context, sink source.Sink) (err error) {
	if err := checkPIDs(); err != nil {
		return fmt.Errorf("start probe: %w", err)
	}
	k, err := loadKernel(p.cfg.Legacy, p.cfg.Single)
	if err != nil {
		return fmt.Errorf("start probe: %w", err)
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	if err := k.passOver(); err != nil {
		return err
	}
	p.programs.enforce(func(pid int, v filter.Verdict) { p.judge(k, pid, v) }, k.executed)
	s := p.newScanner(k)
	defer s.close()
	p.mu.Lock()
	p.kernel, p.scanner, p.stopped, s.paused = k, s, make(chan struct{}), p.paused
	p.mu.Unlock()
	defer func() {
		close(p.stopped)
		p.steering.Lock()
		defer p.steering.Unlock()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.kernel, p.scanner, p.losses = nil, nil, k.losses()
	}()
	if !s.paused {
		if err := k.watch(); err != nil {
			return fmt.Errorf("start probe: %w", err)
		}
	}
	return p.work(ctx, k, s, sink)
}

func (p *Probe) newScanner(k *kernel) *scanner {
	return &scanner{
		kernel: k, table: p.table, coverage: p.coverage, programs: p.programs, log: p.log,
		options: hooks.Options{NoTrampolines: trampolinesKill()}, notices: make(chan notice, noticeRoom),
		files: map[process.FileID]*library{}, byPID: map[int][]*library{},
	}
}

// work runs the reader of records and the scanner of processes side by side.
func (p *Probe) work(ctx context.Context, k *kernel, s *scanner, sink source.Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		s.prepare()
		p.cfg.Ready()
		s.run(ctx)
	})
	defer wg.Wait()
	defer cancel()
	return p.read(ctx, k, s, newConns(p, k, sink))
}

// read hands records on until ctx is done, and then what is still in the kernel.
func (p *Probe) read(ctx context.Context, k *kernel, s *scanner, cs *conns) error {
	defer cs.close()
	var clock stopwatch
	next := time.Now()
	for last := false; ; {
		var drained chan struct{}
		select {
		case drained = <-p.drain:
		default:
		}
		clock.start()
		err := k.feed.read(func(r *record) { p.record(r, s, cs) })
		if err != nil {
			return fmt.Errorf("read from the kernel: %w", err)
		}
		if drained != nil {
			cs.close()
			close(drained)
		}
		if now := time.Now(); now.After(next) {
			next = now.Add(tickTime)
			cs.tick(now)
		}
		p.stats.cpu.Add(int64(clock.stop()))
		if last {
			return nil
		}
		last = ctx.Err() != nil
	}
}

// record takes one record: of a connection, or of a process.
func (p *Probe) record(r *record, s *scanner, cs *conns) {
	switch r.kind {
	case kindExec:
		p.programs.forget(r.pid)
		p.programs.of(r.pid) // now: it may be gone soon
	case kindMapped:
		p.programs.of(r.pid)
	case kindExit:
		cs.record(r)
		p.programs.forget(r.pid)
	default:
		if r.kind == kindData {
			p.stats.received.Add(uint64(len(r.data)))
		}
		cs.record(r)
		return
	}
	n := notice{kind: r.kind, pid: r.pid}
	if r.kind != kindExit {
		n.file, _ = r.file()
	}
	select {
	case s.notices <- n:
	default:
		p.stats.notices.Add(1)
	}
}

// judge tells the kernel what becomes of a process.
func (p *Probe) judge(k *kernel, pid int, v filter.Verdict) {
	numbers := map[filter.Verdict]uint32{filter.Take: 1, filter.Drop: 2, filter.Ask: 3} // enum verdict of bpf/state.h
	if err := k.judge(pid, numbers[v]); err != nil {
		p.log.Warn("the kernel was not told of a filter: it is applied later", "pid", pid, "err", err)
	}
}

// Pause takes every hook out of every program, and closes no connection of theirs. It returns once that is done.
func (p *Probe) Pause() error { return p.setPaused(true) }

// Resume puts the hooks back.
func (p *Probe) Resume() error { return p.setPaused(false) }

func (p *Probe) setPaused(paused bool) error {
	p.steering.Lock()
	defer p.steering.Unlock()
	p.mu.Lock()
	was, s, stopped := p.paused, p.scanner, p.stopped
	p.paused = paused
	p.mu.Unlock()
	switch {
	case s == nil || was == paused:
	case paused:
		s.pause()
		p.endConns(stopped)
	default:
		if err := s.resume(); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.paused = true
			return err
		}
	}
	return nil
}

// endConns has the reader end all connections, with what is still in the kernel: how they go on is not seen.
func (p *Probe) endConns(stopped <-chan struct{}) {
	done := make(chan struct{})
	select {
	case p.drain <- done:
	case <-stopped:
		return
	}
	select {
	case <-done:
	case <-stopped:
	}
}

// SetFilter changes whose plaintext is taken, from now on. Connections that are left out by it end here.
func (p *Probe) SetFilter(rules filter.Rules) error {
	f, err := filter.Compile(rules)
	if err != nil {
		return err
	}
	p.programs.setFilter(f)
	p.mu.Lock()
	s := p.scanner
	p.mu.Unlock()
	if s != nil {
		s.filterChanged()
	}
	return nil
}

// Coverage returns what is seen into and what is not, by process.
func (p *Probe) Coverage() []Coverage { return p.coverage.list() }

// Stats count what happened.
type Stats struct {
	Conns     uint64 // that were followed
	Untied    uint64 // whose addresses are unknown
	Dropped   uint64 // that were given up, there being too many
	Received  uint64 // bytes of plaintext that came from the kernel, those that the filter leaves out then included
	Plaintext uint64 // bytes of connections that have ended
	Lost      uint64 // bytes likewise, that show as gaps
	Notices   uint64 // of processes that were not looked at at once
	Losses    []Loss // in the kernel
}

// Loss is something that could not be told: bytes of plaintext, which show as gaps, or records and calls.
type Loss struct {
	Reason string
	Count  uint64
}

// Stats returns the counts so far.
func (p *Probe) Stats() Stats {
	s := Stats{
		Conns: p.stats.conns.Load(), Untied: p.stats.untied.Load(), Dropped: p.stats.dropped.Load(), Received: p.stats.received.Load(),
		Plaintext: p.stats.plaintext.Load(), Lost: p.stats.lost.Load(), Notices: p.stats.notices.Load(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Losses = p.losses
	if p.kernel != nil {
		s.Losses = p.kernel.losses()
	}
	return s
}

// CPU returns the processor time that handing on plaintext has taken so far: of the probe and of its Sink. It is for programs in which
// the probe is a part among others.
func (p *Probe) CPU() time.Duration { return time.Duration(p.stats.cpu.Load()) }

// LossReasons are the reasons of Losses.
func LossReasons() []string { return slices.Clone(lossReasons) }

// Hooked is a library in which there are hooks.
type Hooked struct {
	Name, Version, Path string
	Hooks, Processes    int
}

// Libraries returns what is hooked.
func (p *Probe) Libraries() []Hooked {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scanner == nil {
		return nil
	}
	return p.scanner.hooked()
}

// Capabilities tells what the kernel offers. It is empty unless the probe runs.
func (p *Probe) Capabilities() []Capability {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kernel == nil {
		return nil
	}
	return p.kernel.capabilities
}
