package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/bus"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/config"
	"github.com/vitrine-ndr/vitrine/internal/run"
	"github.com/vitrine-ndr/vitrine/internal/telemetry"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/source/probe/keylogenv"
)

// storeConsumer is the durable name under which events reach the store.
const storeConsumer = "store"

// drainTime is how long a stop waits for the store to take what is on the bus. What it does not take now it takes next time.
const drainTime = 10 * time.Second

func newUp() *cobra.Command {
	cfg := defaultUpConfig()
	var file string
	var check bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine",
		Long: `Capture on this machine's interfaces, decrypt TLS with the session keys in key logs, store the events and serve the
console. Each setting can also be given in the environment or in a YAML file: flags come before VITRINE_DATA, VITRINE_LISTEN
and so on, and those before the file.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.Load(cfg, file, os.Getenv, cmd.Flags()); err != nil {
				return command.Usage(cmd, err)
			}
			cfg.folder = filepath.Dir(file)
			if check {
				return nil
			}
			return up(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	config.AddFlags(cmd.Flags(), cfg)
	cmd.Flags().StringVar(&file, "config", "", "YAML `FILE` with settings")
	cmd.Flags().BoolVar(&check, "check-config", false, "check the settings and do nothing else")
	return cmd
}

func up(ctx context.Context, cfg *upConfig, out io.Writer) error {
	log := telemetry.NewLogger(os.Stderr, cfg.Log)
	m, err := open(ctx, cfg, log)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // stopped while it started, as asked
	}
	if err != nil {
		return err
	}
	defer func() {
		if err := m.close(); err != nil {
			log.Error("stop", "err", err)
		}
	}()
	m.announce(out)
	return m.run(ctx)
}

// announce tells where the console is, how to sign in, and what runs.
func (m *machine) announce(out io.Writer) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-10s %s\n", name, command.EscapeLines(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(out, "Vitrine %s is running.\n", versionText())
	line("console", "%s", m.url)
	line("", "its certificate has the SHA-256 fingerprint %s", m.server.Fingerprint())
	if m.password != "" {
		line("sign in", "admin, password %s (shown this once only)", m.password)
	}
	line("data", "%s", m.cfg.Data)
	for _, r := range m.roles() {
		if r.On {
			line(r.Name, "%s", r.Why)
		} else {
			line(r.Name, "off: %s", r.Why)
		}
	}
}

// roles says what this machine does, and why not the rest.
func (m *machine) roles() []api.RoleOf {
	return []api.RoleOf{
		{Name: "sensor", On: m.sensor != nil, Why: m.sensorWhy},
		m.roleOfProbe(),
		m.roleOfGateway(),
		{Name: "key logs", On: true, Why: "following " + strings.Join(m.keyLogs(), ", ")},
		{Name: "packets", On: m.sensor != nil, Why: packetsWhy(m)},
		{Name: "store", On: true, Why: engineWhy(m.cfg.Store.URL, "ClickHouse")},
		{Name: "bus", On: true, Why: engineWhy(m.cfg.Bus.URL, "NATS")},
	}
}

func packetsWhy(m *machine) string {
	if m.sensor == nil {
		return "there is no sensor; those of imports are kept"
	}
	return fmt.Sprintf("up to %s as captured and %s with the plaintext", m.cfg.Packets.Before, m.cfg.Packets.After)
}

func engineWhy(url, name string) string {
	if url == "" {
		return name + ", embedded"
	}
	return name + " server"
}

// run works until ctx is done or a part fails. A stop goes in the order of the data: first those who bring some, then the bus,
// then those who keep it.
func (m *machine) run(ctx context.Context) error {
	g := run.New(ctx)
	// The keepers do not watch the group's context: they are stopped once nothing can come any more.
	keep, stopKeepers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeepers()
	var sources sync.WaitGroup
	m.startSources(g, &sources)
	var published sync.WaitGroup
	for _, p := range m.publishers {
		published.Add(1)
		g.Go("publisher", func(ctx context.Context) error {
			defer published.Done()
			return p.Run(ctx)
		})
	}
	g.Go("stop", func(ctx context.Context) error {
		defer stopKeepers()
		<-ctx.Done()
		sources.Wait()
		for _, p := range m.publishers {
			p.Close()
		}
		published.Wait()
		m.drain(ctx)
		return nil
	})
	g.Go("store", func(context.Context) error { return m.bus.Consume(keep, storeConsumer, m.write) })
	g.Go("retention", func(context.Context) error { return m.db.Run(keep) })
	g.Go("packets before", func(context.Context) error { return m.before.Run(keep) })
	g.Go("packets after", func(context.Context) error { return m.after.Run(keep) })
	return g.Wait()
}

// startSources starts what brings events. It may call Add on sources only before it returns.
func (m *machine) startSources(g *run.Group, sources *sync.WaitGroup) {
	source := func(name string, f func(context.Context) error) {
		sources.Add(1)
		g.Go(name, func(ctx context.Context) error {
			defer sources.Done()
			return f(ctx)
		})
	}
	source("key file", func(ctx context.Context) error { return keylogenv.Keep(ctx, keylogenv.DefaultFile, m.log) })
	for _, path := range m.keyLogs() {
		source("key log "+path, func(ctx context.Context) error { return keylog.Follow(ctx, path, m.keys, m.log) })
	}
	if m.sensor != nil {
		source("sensor", func(ctx context.Context) error { return m.sensor.Run(ctx, m.sensorSink()) })
	}
	if m.probe != nil {
		source("probe", m.probe.run)
		source("join", m.join.Run)
	}
	if m.gateway != nil {
		source("gateway", m.runGateway)
		source("gateway's export", m.gateway.outlet.Run)
	}
	source("console", func(ctx context.Context) error { return m.server.Serve(ctx, m.listener) })
}

// write stores a batch of the bus.
func (m *machine) write(ctx context.Context, b bus.Batch) error {
	if b.Redelivered {
		return m.db.AppendMissing(ctx, b.Records)
	}
	return m.db.Append(ctx, b.Records)
}

// drain waits until the store has taken what is on the bus.
func (m *machine) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := m.bus.Settle(ctx, storeConsumer); err != nil {
		m.log.Warn("events wait on the bus for the next start", "err", err)
	}
}
