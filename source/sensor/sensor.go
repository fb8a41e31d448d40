// Package sensor is the vantage point that sees packets: it composes capture, reassembly and decrypt. Packets and session keys go
// in, the plaintext of connections comes out on Streams; a connection that can't be opened still comes out, with its facts
// and the reason. It knows nothing of protocols above TLS.
package sensor

import (
	"container/list"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/decrypt"
	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/reassembly"
	"github.com/vitrine-ndr/vitrine/source"
)

// Config is what a Sensor needs.
type Config struct {
	// Inputs are where packets come from. Files are read one after another; live interfaces all at once, and opened anew when
	// they fail.
	Inputs []Input
	Live   bool
	// Keys opens TLS connections; it may be filled while the Sensor runs.
	Keys decrypt.Keys
	// KeyWait is how long, in capture time, ciphertext waits for its key; zero is as long as memory allows.
	KeyWait time.Duration
	// CloseWait is the same for a connection that has ended: until then, its end is not told.
	CloseWait time.Duration
	// HeldBytes bounds the ciphertext that waits for keys, of all connections together: beyond it, those that have waited for
	// longest give up.
	HeldBytes int64
	// Recorder, unless nil, is given each packet of a conversation. It must not keep p.Data.
	Recorder Recorder
	// Ignore, unless nil, names conversations that leave no trace: neither events nor packets.
	Ignore     func(flow.Tuple) bool
	Reassembly reassembly.Config
}

// Input is one sequence of packets.
type Input struct {
	Name string
	Open func() (capture.Reader, error)
}

// Recorder keeps packets.
type Recorder interface {
	Append(conn flow.ID, p *capture.Packet)
}

const (
	// DefaultKeyWait is right for live traffic: key logs are written during the handshake.
	DefaultKeyWait = 10 * time.Second
	// DefaultCloseWait is right for live traffic: longer than a key log on a local disk takes, short enough for people.
	DefaultCloseWait = time.Second
	// DefaultHeldBytes is right for a sensor of 1 GB.
	DefaultHeldBytes = 128 << 20
	// tickEvery is how soon a key that has come is used, and waiting segments are looked at, whether packets come or not.
	tickEvery = 50 * time.Millisecond
	// reopenEvery is how often an interface that failed is tried again.
	reopenEvery = 2 * time.Second
	// certificates is how many different ones are remembered.
	certificates = 4096
)

// Sensor is a source.Source.
type Sensor struct {
	cfg Config
	log *slog.Logger

	mu        sync.Mutex // guards what follows, and with it each Stream
	assembler *reassembly.Assembler
	worker    *decrypt.Worker
	open      list.List // streams whose ciphertext waits for a key, the longest wait first
	ended     list.List // the same, of connections that have ended: the earliest end first
	complete  bool      // no key can come any more
	// unanswered is how many bytes are kept of connections that may have begun TLS later.
	unanswered int
	keys       uint64 // generation of Keys that all of them have tried
	untried    int    // packets since
	stats      Stats
	inputs     counters
	failed     atomic.Uint64
}

// New returns a Sensor that has opened nothing yet.
func New(cfg Config, log *slog.Logger) *Sensor {
	return &Sensor{
		cfg: cfg, log: log, inputs: counters{open: map[string]counter{}},
		worker: decrypt.NewWorker(decrypt.Config{
			Keys: cfg.Keys, MaxWaiting: decrypt.DefaultMaxWaiting, Certificates: handshake.NewCertificates(certificates),
		}),
	}
}

// Run reads packets until the files end or ctx is done. At damage in a file it has delivered all before it.
func (s *Sensor) Run(ctx context.Context, sink source.Sink) error {
	s.mu.Lock()
	s.assembler = reassembly.New(s.cfg.Reassembly, &opener{s, sink})
	s.mu.Unlock()
	defer s.finish()
	if s.cfg.Live {
		return s.live(ctx)
	}
	return s.files(ctx)
}

// KeysComplete tells that Keys holds all that there will be. Then no connection waits for one behind its end.
func (s *Sensor) KeysComplete() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete = true
}

// finish ends all connections.
func (s *Sensor) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete = true
	s.assembler.Close()
	for st := first(&s.ended); st != nil; st = first(&s.ended) {
		st.finish()
	}
}

// files reads all inputs, even if some are damaged.
func (s *Sensor) files(ctx context.Context) error {
	var errs []error
	for _, in := range s.cfg.Inputs {
		if err := s.read(ctx, in); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// read takes the packets of one input until it ends.
func (s *Sensor) read(ctx context.Context, in Input) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if s.cfg.Live { // Close wakes up a Read that waits for a quiet interface
		defer context.AfterFunc(ctx, func() { r.Close() })()
	}
	s.note(func(c *counters) { c.opened(in.Name, r) })
	defer s.note(func(c *counters) { c.left(in.Name) })
	var p capture.Packet
	for ctx.Err() == nil {
		switch err := r.Read(&p); {
		case err == nil:
			s.packet(&p)
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
	return ctx.Err()
}

func (s *Sensor) note(f func(*counters)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.inputs)
}

func (s *Sensor) packet(p *capture.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.assembler.Packet(p)
	s.expire(p.Time)
	if s.untried++; s.untried >= s.waiting() {
		s.tryKeys()
	}
	if c != nil && s.cfg.Recorder != nil && !s.ignores(c) {
		s.cfg.Recorder.Append(c.ID, p)
	}
}

func (s *Sensor) ignores(c *flow.Conn) bool { return s.cfg.Ignore != nil && s.cfg.Ignore(c.Tuple) }
