// Package inspect joins what the sources give to what the parsers understand. It is the Sink of every source: plaintext
// Streams come in; it recognises the protocol by content, hands the bytes to its parser, and events go out. It knows nothing of
// packets, TLS records or storage, and it is the boundary at which a parser's failure ends: no bytes of one connection
// can harm another.
package inspect

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/source"
)

// Config is what an Inspector needs. All of it is required but Memory, Log and what is about detection.
type Config struct {
	Protocols []parse.Protocol // in the order in which they are tried
	Unknown   parse.Protocol   // what follows a stream that none of Protocols recognises
	Limits    parse.Limits
	// Memory is how many bytes all connections together may hold between calls: for decompression, bodies of open transactions, and
	// what parsers wait for more of. 0: DefaultMemory.
	Memory int64
	// Time is how long one call may decompress.
	Time   time.Duration
	Origin event.Origin
	// Emit takes an event. It is called in the goroutine of the source, from several at once, and holds the source up while
	// it runs. The event is valid until it returns.
	Emit func(*event.Event)
	// Detect is whom transactions are judged by, which may change at any time. Nil: nobody.
	Detect *atomic.Pointer[detect.Engine]
	// Doubtful lets requests through, where there are rules that block, of which it is not certain where they end, and what follows
	// when a parser has failed.
	Doubtful bool
	// Contact is whom a blocked client is told to ask, or empty.
	Contact string
	// Log gets where parsers fail. Nil: nobody is told, they are only counted.
	Log *slog.Logger
}

// Doubt is Config.Doubtful as people configure it.
type Doubt string

const (
	BlockDoubt Doubt = "block"
	PassDoubt  Doubt = "pass"
)

// Validate checks the value of a key.
func (d Doubt) Validate(key string) error {
	if d != BlockDoubt && d != PassDoubt {
		return fmt.Errorf("%s is %q, it must be block or pass", key, d)
	}
	return nil
}

// DefaultTime is right for Config.Time: a source is not held up for longer.
const DefaultTime = 250 * time.Millisecond

// DefaultMemory is right for Config.Memory: enough for thousands of bodies in gzip at once, or for 64 in zstd.
const DefaultMemory = 512 << 20

// Inspector is a source.Sink.
type Inspector struct {
	memory   *parse.Budget
	cfg      Config
	protocol map[string]*parse.Protocol
	expected expectations
	stats    stats
	panics   panics
}

type stats struct {
	streams, events, plaintext, anomalies, gaveUp, panics, unknown, stalled, overMemory atomic.Uint64
}

// Stats count what happened.
type Stats struct {
	Streams    uint64 // opened
	Events     uint64 // emitted
	Plaintext  uint64 // bytes inspected
	Anomalies  uint64 // found; up to maxAnomalies of a connection are among Events
	Unknown    uint64 // streams in which something was of no known protocol
	GaveUp     uint64 // parsers that could not go on
	Stalled    uint64 // parsers that waited for more than they may keep
	OverMemory uint64 // parsers that waited for more than there was memory for
	Panics     uint64 // parsers that failed
	Memory     int64  // bytes held now, of Config.Memory
}

// New returns an Inspector.
func New(cfg Config) *Inspector {
	i := &Inspector{cfg: cfg, protocol: make(map[string]*parse.Protocol, len(cfg.Protocols))}
	if cfg.Memory == 0 {
		cfg.Memory = DefaultMemory
	}
	i.memory = parse.NewBudget(cfg.Memory)
	if cfg.Log == nil {
		i.cfg.Log = slog.New(slog.DiscardHandler)
	}
	for k := range cfg.Protocols {
		p := &cfg.Protocols[k]
		if _, ok := i.protocol[p.Name]; !ok {
			i.protocol[p.Name] = p
		}
	}
	return i
}

// Stats returns the counts so far.
func (i *Inspector) Stats() Stats {
	s := &i.stats
	return Stats{
		Streams: s.streams.Load(), Events: s.events.Load(), Plaintext: s.plaintext.Load(), Anomalies: s.anomalies.Load(),
		Unknown: s.unknown.Load(), GaveUp: s.gaveUp.Load(), Stalled: s.stalled.Load(), Panics: s.panics.Load(),
		OverMemory: s.overMemory.Load(), Memory: i.memory.Used(),
	}
}

// Open begins to inspect a connection.
func (i *Inspector) Open(c *flow.Conn) source.Stream {
	i.stats.streams.Add(1)
	s := &stream{inspector: i, conn: c, open: i.memory.Memory(), waits: i.memory.Memory()}
	s.out = parse.Output{
		Emit: s.emit, Anomaly: s.anomaly, Become: s.become, Expect: s.expect, Seen: s.seen, Exhausted: s.exhausted, Limits: i.cfg.Limits,
		Memory: &s.open,
	}
	s.await(c.Start)
	return s
}
