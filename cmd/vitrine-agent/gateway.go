package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/config"
	"github.com/vitrine-ndr/vitrine/internal/governor"
	"github.com/vitrine-ndr/vitrine/internal/output"
	"github.com/vitrine-ndr/vitrine/internal/run"
	"github.com/vitrine-ndr/vitrine/internal/telemetry"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
	"github.com/vitrine-ndr/vitrine/parse/all"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/assembly"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// gatewayOptions are the flags of vitrine-agent gateway that are no configuration.
type gatewayOptions struct {
	output  output.Options
	config  string
	after   string
	check   bool
	stats   bool
	verbose bool
}

func newGateway() *cobra.Command {
	o, cfg := gatewayOptions{}, defaultGatewayConfig()
	cmd := &cobra.Command{
		Use:   "gateway --config FILE",
		Short: "Stand in the way of TLS connections, and print what they say",
		Long: `Look into TLS connections as policies say, as a proxy (HTTP CONNECT, SOCKS5) or where they are routed through this machine: hold one with the
client, under a certificate of a private authority that the client trusts, and one with the server. Each transaction is printed as an event;
each connection that was not looked into, with the reason. SIGHUP has it read its rules again. It ends with Ctrl-C.

To try it:

  vitrine-agent gateway trial-ca --dir gateway
  vitrine-agent gateway --config gateway/gateway.yaml`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return runGateway(cmd, &o, cfg) },
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration `FILE`; docs/gateway.md explains it")
	f.StringVarP(&o.output.Format, "output", "o", "table", "`FORMAT` of the events: "+strings.Join(output.Formats, ", "))
	f.BoolVar(&o.output.Bodies, "bodies", false, "with -o eve: print the kept part of HTTP bodies too")
	f.StringVar(&o.after, "pcap-after", "", "write the plaintext as packets to the pcapng `FILE`")
	f.BoolVar(&o.check, "check-config", false, "check the configuration, tell what it means, and end")
	f.BoolVar(&o.stats, "stats", false, "print counters at the end")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log each connection that fails")
	config.AddFlags(f, cfg)
	cmd.AddCommand(newTrialCA(), newECH())
	return cmd
}

func runGateway(cmd *cobra.Command, o *gatewayOptions, cfg *gatewayConfig) error {
	if o.config == "" {
		return command.Usage(cmd, errors.New("--config is needed; \"vitrine-agent gateway trial-ca\" makes a first one"))
	}
	load := func(cfg *gatewayConfig) error { return config.Load(cfg, o.config, os.Getenv, cmd.Flags()) }
	if err := load(cfg); err != nil {
		return command.Usage(cmd, err)
	}
	parts, err := cfg.open(o.config, time.Now())
	if errors.Is(err, token.ErrOpen) && !errors.Is(err, token.ErrPIN) { // as it is, another try may find the token
		return err
	}
	if err != nil {
		return command.Usage(cmd, err)
	}
	if o.check {
		return describeGateway(cmd.OutOrStdout(), cfg, parts, time.Now())
	}
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := telemetry.NewLogger(os.Stderr, level)
	o.output.Width = output.Width(os.Stdout)
	out, err := output.New(os.Stdout, o.output)
	if err != nil {
		return command.Usage(cmd, err)
	}
	if parts.export, err = cfg.Export.Open(o.after, filepath.Dir(o.config), log); err != nil {
		return err
	}
	stats, err := serveGateway(cmd.Context(), cfg, o.config, load, parts, newPrinter(out, event.Gateway), log)
	if o.stats {
		printGatewayStats(os.Stderr, stats)
	}
	return errors.Join(err, parts.export.Close())
}

// serveGateway runs the gateway of the configuration in the file until ctx is done. What load fills in are the rules at that moment.
func serveGateway(ctx context.Context, cfg *gatewayConfig, file string, load func(*gatewayConfig) error, parts *gatewayParts, w *printer, log *slog.Logger) (stats gateway.Stats, err error) {
	for _, a := range parts.all {
		assembly.Remind(log, a, time.Now())
	}
	judge := parts.judge()
	blocks := func(policy, host string) bool { return judge.Load().BlocksAt(policy, host) }
	g, err := parts.Open(ctx, assembly.Options{KeyLog: parts.export.Keys(), Blocks: blocks}, log)
	if err != nil {
		return stats, err
	}
	if err := g.Enforce(assembly.Orders{Rules: cfg.Rules, Authorities: parts.byName}); err != nil {
		return stats, errors.Join(err, g.Close())
	}
	if err := governor.WakeLess(); err != nil {
		log.Info("the gateway takes more processor time than it needs: with the capability CAP_SYS_NICE, or with TimerSlackNSec=2ms in its unit, it would take a seventh less", "component", "gateway", "err", err)
	}
	group := run.New(ctx)
	w.stop = group.Stop
	events := newSpill(w)
	sink := inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: cfg.Detection.limits(), Time: inspect.DefaultTime,
		Origin: w.origin(), Emit: events.emit, Log: log,
		Detect: judge, Doubtful: cfg.Detection.Doubt == inspect.PassDoubt, Contact: cfg.Detection.Contact,
	})
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	defer signal.Stop(asked)
	for _, p := range g.Places() {
		fmt.Fprintf(os.Stderr, "vitrine-agent: clients may connect to %s; stop with Ctrl-C\n", p.Address)
	}
	group.Go("gateway", func(ctx context.Context) error { return g.Run(ctx, parts.export.Sink(sink)) })
	group.Go("pcap over IP", parts.export.Run)
	group.Go("memory", func(ctx context.Context) error {
		balanceMemory(ctx)
		return nil
	})
	group.Go("rules", func(ctx context.Context) error {
		reload(ctx, asked, load, &enforcer{g, parts.byName, judge, filepath.Dir(file), cfg.fixed(filepath.Dir(file))}, log)
		return nil
	})
	err = group.Wait()
	return g.Stats(), errors.Join(err, events.end(w, log))
}

// enforcer is all that follows rules.
type enforcer struct {
	gateway     *assembly.Assembly
	authorities map[string]*authority.Authority
	judge       *atomic.Pointer[detect.Engine]
	dir         string // that files of rules lie in
	fixed       fixed  // as it was at the start
}

// reload puts the rules in force anew whenever it is asked to, until ctx is done. If something is wrong with them, the old ones stay in force.
func reload(ctx context.Context, asked <-chan os.Signal, load func(*gatewayConfig) error, e *enforcer, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
		}
		cfg := defaultGatewayConfig()
		if err := load(cfg); err != nil {
			log.Error("rules not changed", "component", "gateway", "err", err)
		} else if err := cfg.enforce(e); err != nil {
			log.Error("rules not changed", "component", "gateway", "err", err)
		} else {
			log.Info("rules changed", "component", "gateway", "quota", cfg.Rules.Quota())
			if keys := e.fixed.changed(cfg.fixed(e.dir)); len(keys) > 0 {
				log.Warn("these keys, or files that they name, have changed too, which counts from the next start on: restart the gateway", "component", "gateway", "keys", strings.Join(keys, " "))
			}
		}
	}
}

// enforce puts the rules in force.
func (c *gatewayConfig) enforce(e *enforcer) error {
	engine, err := c.Detection.open(e.dir)
	if err != nil {
		return err
	}
	if err := e.gateway.Enforce(assembly.Orders{Rules: c.Rules, Authorities: e.authorities}); err != nil {
		return err
	}
	e.judge.Store(engine)
	return nil
}

// describeGateway tells what a configuration means.
func describeGateway(out io.Writer, cfg *gatewayConfig, parts *gatewayParts, now time.Time) error {
	for _, a := range parts.all {
		kind := "authority"
		if a.Trial() {
			kind = "trial authority"
		}
		fmt.Fprintf(out, "%s %s, valid until %s (%d days)\n", kind, terminal.Escape(a.String()), a.Expires().Format(time.DateOnly), daysLeft(a.Expires(), now))
	}
	for _, i := range parts.Identities.All {
		fmt.Fprintf(out, "identity %s, %s, valid until %s (%d days): for %s, used by %s\n", i.ID, terminal.Escape(i.Subject()), i.Expires().Format(time.DateOnly), daysLeft(i.Expires(), now),
			strings.Join(i.Names, ", "), joined(i.Sources))
	}
	if names := parts.ECH.Names(); len(names) > 0 {
		fmt.Fprintf(out, "ClientHellos that are encrypted to %s are opened\n", strings.Join(names, ", "))
	}
	for _, p := range cfg.Rules.Policies {
		state := "enabled"
		if p.Disabled {
			state = "disabled"
		}
		for _, s := range p.Scopes {
			fmt.Fprintf(out, "policy %s, scope %s, %s: %d of the quota\n", p.ID, s.ID, state, s.Quota())
		}
	}
	describeDetection(out, parts.engine)
	used := cfg.Rules.Quota()
	_, err := fmt.Fprintf(out, "quota: %d of %d used, %d left; %d block and %d bypass rules\nthe configuration is valid\n",
		used, policy.MaxQuota, policy.MaxQuota-used, len(cfg.Rules.Block), len(cfg.Rules.Bypass))
	return err
}

func daysLeft(end, now time.Time) int { return int(end.Sub(now) / (24 * time.Hour)) }

func joined(list []policy.Addresses) string {
	var texts []string
	for _, a := range list {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}

// printGatewayStats tells what was done with connections, and why.
func printGatewayStats(out io.Writer, s gateway.Stats) {
	line := func(name string, value any) { fmt.Fprintf(out, "%-28s %v\n", name, value) }
	for _, k := range slices.Sorted(maps.Keys(s.Actions)) {
		line("connections, "+string(k), s.Actions[k])
	}
	for _, k := range slices.Sorted(maps.Keys(s.Reasons)) {
		line("not decrypted, "+string(k), s.Reasons[k])
	}
	for _, k := range slices.Sorted(maps.Keys(s.Faults)) {
		line("bad certificate, "+string(k), s.Faults[k])
	}
	for _, l := range []struct {
		name string
		n    uint64
	}{
		{"clients refused", s.Refused}, {"origins unreachable", s.Unreachable}, {"addresses guarded", s.Guarded}, {"connections blocked", s.Blocked},
		{"beyond the limit", s.OverCapacity}, {"beyond the limit of a client", s.OverClient}, {"errors of accept", s.AcceptErrors}, {"panics", s.Panics},
	} {
		if l.n > 0 {
			line(l.name, l.n)
		}
	}
}
