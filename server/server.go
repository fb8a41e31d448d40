// Package server answers the console, the command line and scripts over HTTPS. Searches, uploads and sign-ins come in; events,
// packets and the console's files go out. It knows no packets, protocols or SQL: what it needs of the other packages is in Deps.
package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/run"
	"github.com/vitrine-ndr/vitrine/internal/telemetry"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/gateways"
	"github.com/vitrine-ndr/vitrine/server/imports"
	"github.com/vitrine-ndr/vitrine/server/listen"
	"github.com/vitrine-ndr/vitrine/state"
	"github.com/vitrine-ndr/vitrine/store"
	"github.com/vitrine-ndr/vitrine/store/query"
)

// Config says where the server listens and how much it takes.
type Config struct {
	Listen  string   // address and port of the console
	Names   []string // host names and addresses that its certificate is for, besides loopback
	Dir     string   // folder for the certificate and for uploads; it must exist
	Version string

	Grace       time.Duration // for requests that are under way when the server stops
	LiveClients int           // that follow new events at a time
	LiveBuffer  int           // events that wait for one of them
	SearchTime  time.Duration // for one question to the event store, its wait for a turn included
	Searches    int           // questions of one account at a time; others wait for their turn
	Imports     imports.Config
}

// DefaultConfig returns the defaults for a data folder.
func DefaultConfig(dir string) Config {
	return Config{
		Listen: "127.0.0.1:8443", Dir: dir, Grace: 5 * time.Second, LiveClients: 64, LiveBuffer: 1000, SearchTime: 20 * time.Second, Searches: 3,
		Imports: imports.DefaultConfig(filepath.Join(dir, "imports")),
	}
}

// Deps are what the server needs of others. All are required unless the comment says otherwise.
type Deps struct {
	State  *state.DB
	Events Events
	Live   Live
	// Before and After hold the packets as captured and those that carry the plaintext; nil if none are kept.
	Before, After Packets
	// KeyLog returns the session keys of the connection with these packets, as lines of RFC 9850; nil if no keys are kept.
	KeyLog func(conn flow.ID, packets iter.Seq2[capture.Packet, error]) ([]byte, error)
	// Probe sees into this machine's processes; nil if it is off: then the role named probe says why.
	Probe Probe
	// Gateway stands in the way of connections; nil if it is off: then the role named gateway says why. Book is what people have decided
	// about it.
	Gateway gateways.Gateway
	Book    *gateways.Book
	// Replay reads the captures of an import, see imports.Replay; nil if this machine can't.
	Replay imports.Replay
	// Console serves the pages, with their own headers.
	Console http.Handler
	// Roles and Alarms say what this machine does and what needs a person. They may be called concurrently.
	Roles  func() []api.RoleOf
	Alarms func() []api.Alarm
	// Metrics is where the server's own metrics go and where all metrics are read.
	Metrics *prometheus.Registry
}

// Events is the event store; *store.DB is one.
type Events interface {
	Search(ctx context.Context, s store.Search) (store.Page, error)
	Event(ctx context.Context, id event.ID) (*event.Record, error)
	Histogram(ctx context.Context, f *query.Filter, since, until time.Time, buckets int) (store.Histogram, error)
	Overview(ctx context.Context, since, until time.Time) (store.Overview, error)
	TopValues(ctx context.Context, field, prefix string, since time.Time, n int) ([]store.Value, error)
	Health(ctx context.Context) (store.Health, error)
}

// Live hands over new events until ctx is done; *bus.Bus does.
type Live interface {
	Tail(ctx context.Context, handle func([]*event.Record)) error
}

// Packets holds the packets of connections; *blob.Packets does.
type Packets interface {
	Read(conn flow.ID) iter.Seq2[capture.Packet, error]
}

// Server is the HTTP API and the console.
type Server struct {
	cfg      Config
	deps     Deps
	log      *slog.Logger
	cert     *listen.Certificate
	imports  *imports.Queue
	live     *hub
	signIns  *throttle
	searches *searches
	hashing  chan struct{} // a place in it allows to compute one password hash
	// filtering is held while the probe's filter is changed and kept.
	filtering sync.Mutex
	requests  *prometheus.CounterVec
	started   time.Time
	document  []byte
	handler   http.Handler
}

// maxHashing is how many password hashes are computed at a time: each takes 64 MiB.
const maxHashing = 2

// New returns a server that does nothing before Run. It makes the certificate if there is none.
func New(cfg Config, deps Deps, log *slog.Logger) (*Server, error) {
	cert, err := listen.OpenCertificate(filepath.Join(cfg.Dir, "console.pem"), cfg.Names, time.Now())
	if err != nil {
		return nil, err
	}
	document, err := OpenAPI()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, deps: deps, log: log, cert: cert, document: document, started: time.Now().UTC(),
		imports: imports.New(cfg.Imports, deps.State, deps.Replay, log.With("component", "imports")),
		live:    newHub(cfg.LiveClients, cfg.LiveBuffer),
		signIns: newThrottle(), searches: newSearches(cfg.Searches), hashing: make(chan struct{}, maxHashing),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vitrine_http_requests_total", Help: "Number of API requests, by operation and status."}, []string{"operation", "status"}),
	}
	if err := deps.Metrics.Register(s.requests); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	telemetry.CounterFunc(deps.Metrics, "live_dropped_events", "Number of events that followers of the live tail were too slow for.", nil, s.live.dropped.Load)
	mux := http.NewServeMux()
	s.api(mux)
	mux.Handle("/api/", http.HandlerFunc(noSuchRoute))
	mux.Handle("/", deps.Console)
	s.handler = s.guard(mux)
	return s, nil
}

// Handler answers requests; it is what Run serves.
func (s *Server) Handler() http.Handler { return s.handler }

// Fingerprint returns the SHA-256 of the console's certificate, in hexadecimal.
func (s *Server) Fingerprint() string { return s.cert.Fingerprint() }

// Run listens and serves until ctx is done.
func (s *Server) Run(ctx context.Context) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for the console: %w", err)
	}
	return s.Serve(ctx, ln)
}

// Serve is Run on a listener that is open already.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if err := errors.Join(s.imports.Recover(ctx), s.rememberSignIns(ctx)); err != nil {
		return errors.Join(err, ln.Close())
	}
	g := run.New(ctx)
	g.Go("imports", s.imports.Run)
	g.Go("live tail", func(ctx context.Context) error { return s.live.run(ctx, s.deps.Live, s.log) })
	g.Go("housekeeping", s.keepHouse)
	g.Go("console", func(ctx context.Context) error {
		defer s.live.close() // else the streams would use up the grace time
		srv := &http.Server{
			Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
			BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		}
		context.AfterFunc(ctx, s.live.close)
		return listen.Serve(ctx, ln, s.cert, srv, s.cfg.Grace, s.log)
	})
	return g.Wait()
}

// keepHouse removes what has expired, and renews the certificate in time.
func (s *Server) keepHouse(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		now := time.Now()
		if err := errors.Join(s.deps.State.Prune(ctx, now), s.cert.Renew(now)); err != nil && ctx.Err() == nil {
			s.log.Error("housekeeping failed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
