// Package bus carries events from those who see them to those who work on them: batches of records go into a NATS
// JetStream stream, and come out at least once to every durable consumer, each acknowledged only after it was handled.
// It runs the server inside the program or connects to an external cluster. It knows nothing of what the events mean.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vitrine-ndr/vitrine/internal/telemetry"
)

const (
	streamName    = "VITRINE_EVENTS"
	subjectPrefix = "vitrine.events." // then the vantage point
	requestWait   = 5 * time.Second
	headerRoom    = 1 << 10 // bytes for the headers of a message, which count as payload
)

// Config says where the stream is and how much it may hold.
type Config struct {
	// Dir holds the files of the embedded server. Used iff External.URL is empty.
	Dir      string
	External External
	// MaxBytes and MaxAge bound the stream. Where one is reached the oldest batches go, read or not; a consumer
	// counts what it missed.
	MaxBytes int64
	MaxAge   time.Duration
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

// DefaultConfig returns the bounds of an embedded server in the folder.
func DefaultConfig(dir string) Config {
	return Config{Dir: dir, MaxBytes: 2 << 30, MaxAge: 7 * 24 * time.Hour}
}

// Bus is a connection to the stream. Its methods may be called concurrently.
type Bus struct {
	log    *slog.Logger
	server *embedded // nil if external
	nc     *nats.Conn
	js     jetstream.JetStream
	stage  *telemetry.Stage
	codec  *codec
	stream jetstream.StreamConfig
	health health

	// discarded counts batches that the bounds of the stream took from a consumer, poison those that nobody can read.
	discarded, poison prometheus.Counter
	// shrunk counts events that had to be cut to find room in a message.
	shrunk prometheus.Counter
}

// Open starts the embedded server or connects to the cluster, and makes the stream if it is not there.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Bus, error) {
	codec, err := newCodec()
	if err != nil {
		return nil, err
	}
	b := &Bus{
		log: log, codec: codec,
		stage:     telemetry.NewStage(cfg.Metrics, "bus", "events", dropReasons...),
		discarded: telemetry.Counter(cfg.Metrics, "bus_discarded_batches", "Batches that the stream's bounds took before a consumer read them."),
		poison:    telemetry.Counter(cfg.Metrics, "bus_poison_batches", "Batches that could not be decoded."),
		shrunk:    telemetry.Counter(cfg.Metrics, "bus_shrunk_events", "Events that were cut because the bus does not take messages so large."),
	}
	if err := b.open(ctx, cfg); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bus) open(ctx context.Context, cfg Config) (err error) {
	options := []nats.Option{nats.Name("vitrine"), nats.MaxReconnects(-1), nats.ErrorHandler(b.connectionError)}
	replicas := max(cfg.External.Replicas, 1)
	if cfg.External.URL == "" {
		replicas = 1
		if b.server, err = startEmbedded(cfg, b.log); err != nil {
			return err
		}
		options = append(options, nats.InProcessServer(b.server))
	} else {
		external, err := cfg.External.options()
		if err != nil {
			return err
		}
		options = append(options, external...)
	}
	if b.nc, err = nats.Connect(cfg.External.URL, options...); err != nil {
		return fmt.Errorf("connect to the bus: %w", err)
	}
	if b.js, err = jetstream.New(b.nc); err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	b.stream = jetstream.StreamConfig{
		Name: streamName, Description: "Events on their way to the store", Subjects: []string{subjectPrefix + ">"},
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxBytes: cfg.MaxBytes, MaxAge: cfg.MaxAge, Duplicates: 2 * time.Minute, Replicas: replicas,
	}
	return b.makeStream(ctx)
}

// makeStream makes the stream, or gives it its bounds if it is there.
func (b *Bus) makeStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	if _, err := b.js.CreateOrUpdateStream(ctx, b.stream); err != nil {
		return fmt.Errorf("make stream %s: %w", streamName, err)
	}
	return nil
}

func (b *Bus) connectionError(_ *nats.Conn, _ *nats.Subscription, err error) {
	b.log.Warn("bus connection", "err", err)
}

// payloadRoom is how many bytes the server takes as one batch. It may differ from one connection to the next.
func (b *Bus) payloadRoom() int { return int(b.nc.MaxPayload()) - headerRoom }

// Close ends the connection and the embedded server. Publishers and consumers must have returned.
func (b *Bus) Close() error {
	if b.nc != nil {
		b.nc.Close()
	}
	if b.server != nil {
		b.server.stop()
	}
	b.codec.close()
	return nil
}

// streamState tells the numbers of the oldest and the newest batch in the stream.
func (b *Bus) streamState(ctx context.Context) (jetstream.StreamState, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	stream, err := b.js.Stream(ctx, streamName)
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("look up stream %s: %w", streamName, err)
	}
	return stream.CachedInfo().State, nil
}
