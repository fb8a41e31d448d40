package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/governor"
	"github.com/vitrine-ndr/vitrine/internal/output"
	"github.com/vitrine-ndr/vitrine/internal/run"
	"github.com/vitrine-ndr/vitrine/internal/telemetry"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
	"github.com/vitrine-ndr/vitrine/source/probe"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
)

// probeOptions are the flags of vitrine-agent probe.
type probeOptions struct {
	output   output.Options
	pids     []int
	exes     []string
	coverage bool
	stats    bool
	verbose  bool
	legacy   bool
	nice     int
	budget   governor.Config
}

func newProbe() *cobra.Command {
	o := probeOptions{budget: governor.DefaultConfig(governor.InContainer())}
	cmd := &cobra.Command{
		Use:   "probe [flags]",
		Short: "Print what this machine's programs send and receive over TLS",
		Long: `See the plaintext of TLS connections of this machine's programs, and of those in its containers, and print an event for each
transaction. Programs are not changed or restarted, and need no certificate: they are watched where they call OpenSSL, GnuTLS, NSS or
Go's crypto/tls. It needs root, and ends with Ctrl-C; nothing of it stays.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runProbe(cmd, &o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.output.Format, "output", "o", "table", "`FORMAT` of the events: "+strings.Join(output.Formats, ", "))
	f.BoolVar(&o.output.Bodies, "bodies", false, "with -o eve: print the kept part of HTTP bodies too")
	f.IntSliceVar(&o.pids, "pid", nil, "only the process `N`; may be given several times")
	f.StringArrayVar(&o.exes, "exe", nil, "only programs whose path fits `GLOB`; a name without / may be anywhere; may be given several times")
	f.BoolVar(&o.coverage, "coverage", false, "print too which processes are seen into, and which not and why")
	f.BoolVar(&o.stats, "stats", false, "print counters at the end")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log what is done")
	f.Float64Var(&o.budget.CPU, "max-cpu", o.budget.CPU, "pause when more than `PERCENT` of one core is used for long")
	f.TextVar(&o.budget.Memory, "max-memory", o.budget.Memory, "pause when more than `SIZE` of memory is used for long")
	f.DurationVar(&o.budget.Over, "over", o.budget.Over, "what \"for long\" is: pause after `TIME` over the budget")
	f.DurationVar(&o.budget.Retry, "retry", o.budget.Retry, "try again after `TIME`; over the budget once more within that time, pause for good")
	f.IntVar(&o.nice, "nice", governor.Niceness, "priority `N` among programs that compete for processor time, from 0, on equal terms, to 19, behind all others")
	f.BoolVar(&o.legacy, "legacy", false, "use the programs for kernels before 5.8")
	return cmd
}

func runProbe(cmd *cobra.Command, o *probeOptions) error {
	if err := o.budget.Validate(); err != nil {
		return command.Usage(cmd, fmt.Errorf("budget: %w", err))
	}
	if o.nice < 0 || o.nice > 19 {
		return command.Usage(cmd, fmt.Errorf("--nice is %d and must be from 0 to 19", o.nice))
	}
	out, err := output.New(os.Stdout, withColumns(o.output))
	if err != nil {
		return command.Usage(cmd, err)
	}
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := telemetry.NewLogger(os.Stderr, level)
	keepSmall(o, log)
	w := newPrinter(out, event.Probe)
	cfg := probe.Config{Filter: filter.FromFlags(o.pids, o.exes), Seed: flow.NewSeed(), Legacy: o.legacy}
	cfg.Ready = func() {
		fmt.Fprintln(os.Stderr, "vitrine-agent: watching; stop with Ctrl-C")
		debug.SetGCPercent(gcPercent) // not before: what the start takes is soon given back
	}
	if o.coverage {
		cfg.Coverage = w.coverage
	}
	p, err := probe.New(cfg, log)
	if err != nil {
		return command.Usage(cmd, err)
	}
	sink := inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Time: inspect.DefaultTime,
		Origin: w.origin(), Emit: func(e *event.Event) { w.write(e.Record()) }, Log: log,
	})
	g := run.New(cmd.Context())
	w.stop = g.Stop
	g.Go("probe", func(ctx context.Context) error {
		defer g.Stop()
		return probe.Explain(p.Run(ctx, sink))
	})
	g.Go("governor", governor.New(o.budget, budgetOf(p, log)).Run)
	g.Go("output", w.flush)
	err = errors.Join(g.Wait(), w.end())
	if o.stats {
		printStats(os.Stderr, p, sink)
	}
	return err
}

// gcPercent lets the heap grow to four times of what lives: that is little, and the garbage of events much.
const gcPercent = 300

// keepSmall makes this program get less in the way of others. Its budget is less than one processor, so it uses no more than one at a time:
// to wake threads on others costs them and it more than it gains.
func keepSmall(o *probeOptions, log *slog.Logger) {
	runtime.GOMAXPROCS(1)
	debug.SetMemoryLimit(int64(o.budget.Memory) / 10 * 9) // rather collect garbage than exceed the budget by it
	if err := governor.Yield(o.nice); err != nil {
		log.Warn("the probe competes with other programs on equal terms", "err", err)
	}
}

func withColumns(o output.Options) output.Options {
	o.Width, o.ByProcess = output.Width(os.Stdout), true
	return o
}

// budgetOf lets a governor steer the probe.
func budgetOf(p *probe.Probe, log *slog.Logger) governor.Deps {
	return governor.Deps{
		Name:   "probe",
		Read:   new(governor.Meter).Read,
		Pause:  func(string) error { return p.Pause() },
		Resume: p.Resume, Log: log,
	}
}

// printStats tells what was seen and what was lost.
func printStats(out io.Writer, p *probe.Probe, sink *inspect.Inspector) {
	s, i := p.Stats(), sink.Stats()
	line := func(name string, value any) { fmt.Fprintf(out, "%-28s %v\n", name, value) }
	line("connections", s.Conns)
	line("connections without address", s.Untied)
	line("plaintext bytes", i.Plaintext)
	line("events", i.Events)
	line("gap bytes", s.Lost)
	for _, l := range s.Losses {
		if l.Count > 0 {
			line("lost, "+l.Reason, l.Count)
		}
	}
}
