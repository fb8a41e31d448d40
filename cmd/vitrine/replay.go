package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/export"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/output"
	"github.com/vitrine-ndr/vitrine/internal/run"
	"github.com/vitrine-ndr/vitrine/internal/telemetry"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/sensor"
)

// replayOptions are the flags of vitrine replay.
type replayOptions struct {
	keyLogs   []string
	output    output.Options
	pcapAfter string
	stats     bool
}

func newReplay() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay [flags] FILE...",
		Short: "Read captures and print what is in them",
		Long: `Read pcap or pcapng files (plain, gzip or zstd; - is the standard input) and print an event for each transaction,
with TLS decrypted by key logs and by the secrets inside the files, wherever in them they are: files are read twice, pipes once.`,
		Args: command.Args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return replay(cmd, &o, args) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.keyLogs, "keylog", nil, "TLS key log `FILE`; may be given several times")
	f.StringVarP(&o.output.Format, "output", "o", "json", "`FORMAT` of the events: "+strings.Join(output.Formats, ", "))
	f.BoolVar(&o.output.Bodies, "bodies", false, "with -o eve: print the kept part of HTTP bodies too")
	f.StringVar(&o.pcapAfter, "pcap-after", "", "write the plaintext as packets to the pcapng `FILE`")
	f.BoolVar(&o.stats, "stats", false, "print counters and speed at the end")
	return cmd
}

func replay(cmd *cobra.Command, o *replayOptions, paths []string) error {
	o.output.Width = output.Width(os.Stdout)
	out, err := output.New(os.Stdout, o.output)
	if err != nil {
		return command.Usage(cmd, err)
	}
	keys := keylog.NewStore(keylog.DefaultSessions)
	for _, path := range o.keyLogs {
		if err := keylog.Load(path, keys); err != nil {
			return err
		}
	}
	r := &replayer{out: out, files: newCaptures(paths, keys), kinds: map[event.Kind]uint64{}}
	log := telemetry.NewLogger(os.Stderr, slog.LevelWarn)
	r.sensor = r.files.sensor(0, nil, log)
	r.inspector = newInspector(event.Origin{Vantage: event.Sensor}, r.emit, log)
	start := time.Now()
	err = r.run(cmd.Context(), o.pcapAfter)
	if o.stats {
		r.printStats(os.Stderr, time.Since(start))
	}
	return err
}

// replayer reads captures and writes events.
type replayer struct {
	out       *output.Writer
	files     *captures
	sensor    *sensor.Sensor
	inspector *inspect.Inspector
	kinds     map[event.Kind]uint64

	stop   context.CancelFunc
	failed error // of the output
}

// run returns after the last event is written, even if a file is damaged.
func (r *replayer) run(ctx context.Context, pcapAfter string) (err error) {
	ctx, r.stop = context.WithCancel(ctx)
	defer r.stop()
	var sink source.Sink = r.inspector
	if pcapAfter != "" {
		file, createErr := os.OpenFile(pcapAfter, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if createErr != nil {
			return fmt.Errorf("create packet file: %w", createErr)
		}
		packets := export.NewFile(file)
		defer func() { err = errors.Join(err, packets.Close(), file.Close()) }()
		sink = export.PlainSink(sink, packets, export.PlainOptions{})
	}
	g := run.New(ctx)
	g.Go("replay", func(ctx context.Context) error {
		defer g.Stop()
		err = r.files.run(ctx, r.sensor, sink)
		return nil
	})
	if terminal.Is(os.Stderr) && !terminal.Is(os.Stdout) {
		progress := &terminal.Progress{Out: os.Stderr, Done: r.files.done, Total: r.files.total}
		g.Go("progress", progress.Run)
	}
	if panicked := g.Wait(); panicked != nil {
		return panicked
	}
	if r.failed != nil {
		return r.failed
	}
	return errors.Join(err, r.out.Flush())
}

// emit is called by one goroutine at a time, because a replay reads one file at a time.
func (r *replayer) emit(e *event.Event) {
	r.kinds[e.Body.Kind()]++
	if r.failed != nil {
		return
	}
	if r.failed = r.out.Write(e.Record()); r.failed != nil {
		r.stop()
	}
}

// printStats tells what was read, found and lost, and how fast.
func (r *replayer) printStats(w io.Writer, took time.Duration) {
	s, i, bytes := r.sensor.Stats(), r.inspector.Stats(), r.files.read()
	line := func(name string, value any) { fmt.Fprintf(w, "%-28s %v\n", name, value) }
	line("time", took.Round(time.Millisecond))
	line("bytes read", bytes)
	line("packets", s.Packets)
	line("megabits a second", int64(float64(bytes)*8/1e6/took.Seconds()))
	line("packets a second", int64(float64(s.Packets)/took.Seconds()))
	line("connections", s.Conns)
	line("connections TLS", s.TLS)
	line("connections decrypted", s.Decrypted)
	line("connections decrypted in part", s.Partial)
	for reason, n := range sortedBy(s.Reasons) {
		line("  not decrypted, "+string(reason), n)
	}
	line("plaintext bytes", i.Plaintext)
	line("events", i.Events)
	for kind, n := range sortedBy(r.kinds) {
		line("  "+string(kind), n)
	}
	line("gap bytes", s.GapBytes)
	s.DroppedBy(func(reason string, n uint64) {
		if n > 0 {
			line("packets not read, "+reason, n)
		}
	})
	line("parsers that gave up", i.GaveUp)
	line("parsers that failed", i.Panics)
}

// sortedBy yields the entries of a map in the order of their keys.
func sortedBy[K ~string, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
