package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/vitrine-ndr/vitrine/bus"
	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/decrypt"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/run"
	"github.com/vitrine-ndr/vitrine/reassembly"
	"github.com/vitrine-ndr/vitrine/server/imports"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/sensor"
)

// reportEvery is how often an import says how far it is.
const reportEvery = 200 * time.Millisecond

// replay reads the captures of an import as vitrine replay does, into the bus. Nothing is dropped: it waits for the bus and the disk.
func (m *machine) replay(ctx context.Context, job imports.Job, report func(imports.Progress)) error {
	for _, file := range job.KeyLogs {
		if err := keylog.Load(file.Path, m.keys); err != nil {
			return fmt.Errorf("%s: %w", file.Name, err)
		}
	}
	paths := make([]string, len(job.Captures))
	for i, file := range job.Captures {
		paths[i] = file.Path
	}
	files := newCaptures(paths, m.keys)
	publisher := m.bus.Publisher(bus.PublisherConfig{Vantage: event.Sensor, Block: true})
	inspector := newInspector(event.Origin{Agent: m.host, Vantage: event.Sensor, Import: job.ID}, publisher.Emit, m.log.With("import", job.ID))
	s := files.sensor(flow.NewSeed(), m.before.Patient(), m.log.With("import", job.ID))

	var damage error
	g := run.New(ctx)
	progress, done := context.WithCancel(ctx)
	g.Go("publisher", publisher.Run)
	g.Go("progress", func(context.Context) error { return reportProgress(progress, files, s, inspector, report) })
	g.Go("sensor", func(ctx context.Context) error {
		defer done()
		defer publisher.Close()
		damage = files.run(ctx, s, m.sink(inspector, m.after.Patient()))
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(named(damage, job.Captures), m.bus.Settle(ctx, storeConsumer))
}

// named puts the name that its owner knows in the place of a file's path.
func named(err error, files []imports.File) error {
	if format, ok := errors.AsType[*capture.FormatError](err); ok {
		for _, f := range files {
			if f.Path == format.File {
				format.File = f.Name
			}
		}
	}
	return err
}

func reportProgress(ctx context.Context, files *captures, s *sensor.Sensor, i *inspect.Inspector, report func(imports.Progress)) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		stats := s.Stats()
		report(imports.Progress{
			Bytes: files.done(), Packets: stats.Packets, Events: i.Stats().Events, Connections: stats.Conns, Decrypted: stats.Decrypted + stats.Partial,
		})
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// keyLog returns the session keys of the connection with these packets, as far as they are known: whoever asks for keys during
// decryption is told of the client random.
func (m *machine) keyLog(_ flow.ID, packets iter.Seq2[capture.Packet, error]) ([]byte, error) {
	asked := &witness{keys: m.keys}
	s := sensor.New(sensor.Config{
		Inputs: []sensor.Input{{Name: "packets", Open: func() (capture.Reader, error) { return newPacketReader(packets), nil }}},
		Keys:   asked, HeldBytes: 1 << 20, Reassembly: reassembly.DefaultConfig(),
	}, m.log)
	if err := s.Run(context.Background(), deaf{}); err != nil {
		return nil, err
	}
	var text []byte
	for _, random := range asked.randoms {
		text = append(text, m.keys.Export(random)...)
	}
	return text, nil
}

// witness is Keys that remembers who was asked for.
type witness struct {
	keys    *keylog.Store
	randoms [][32]byte
	last    [32]byte
}

// Secrets implements decrypt.Keys.
func (w *witness) Secrets(clientRandom [32]byte) []decrypt.Secret {
	if w.randoms == nil || w.last != clientRandom {
		w.last = clientRandom
		w.randoms = append(w.randoms, clientRandom)
	}
	return w.keys.Secrets(clientRandom)
}

// Generation implements decrypt.Keys: nothing new comes.
func (w *witness) Generation() uint64 { return 0 }

// packetReader reads a sequence of packets as a capture.Reader. What can't be read is left out.
type packetReader struct {
	next func() (capture.Packet, error, bool)
	stop func()
}

func newPacketReader(packets iter.Seq2[capture.Packet, error]) *packetReader {
	next, stop := iter.Pull2(packets)
	return &packetReader{next, stop}
}

func (r *packetReader) Read(p *capture.Packet) error {
	for {
		packet, err, ok := r.next()
		if !ok {
			return io.EOF
		}
		if err == nil {
			*p = packet
			return nil
		}
	}
}

func (r *packetReader) Close() error { r.stop(); return nil }

// deaf is a Sink that hears nothing.
type deaf struct{}

func (deaf) Open(*flow.Conn) source.Stream                       { return deaf{} }
func (deaf) Data(flow.Direction, time.Time, []byte) flow.Verdict { return flow.Pass }
func (deaf) Gap(flow.Direction, time.Time, int)                  {}
func (deaf) Close(time.Time)                                     {}
