// Package gateway is the vantage point that stands in the way: clients connect through it. Connections that front ends accept come
// in; for each, a policy says whether the gateway hands on its bytes as they are, ends it, or looks into it. Then it
// holds a TLS connection with either side, and the plaintext goes to a Stream before it is forwarded: what the
// Stream's verdict holds back or drops is not. It knows nothing of protocols above TLS.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/gateway/admission"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/ech"
	"github.com/vitrine-ndr/vitrine/source/gateway/front"
	"github.com/vitrine-ndr/vitrine/source/gateway/identity"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// Config is what a Gateway needs.
type Config struct {
	Listeners []Listener
	Rules     *policy.Table // until SetRules
	// Mints make the certificates for clients, by the names of their authorities, until SetMints. That of the empty name is for policies that
	// name none. A name that an enabled policy has must be there.
	Mints map[string]*authority.Mint
	Judge *origin.Judge
	Guard *origin.Guard // New adds the listeners to those whom it never connects to: a gateway must not be its own client
	// Identities are shown to origins that ask for a client certificate, in place of clients that may use them; nil: there are none.
	Identities *identity.Set
	ECH        *ech.Keys  // open ClientHellos that are encrypted to the gateway; nil: there are none
	Pins       *pin.Table // which clients accept no certificate but a server's own; nil: one that begins empty
	Hold       Hold
	// Blocks tells whether the Sink's verdicts may block something that is asked of a host, in connections of a policy, both by name; an empty
	// host may be any. There, nothing that was learnt lets clients past the Sink. Nil: nothing is blocked.
	Blocks func(policy, host string) bool
	// Limits are what may be open at once. Beyond them, new connections are closed, or not looked into.
	Limits admission.Limits
	// Handshake is how long a client may take from its connection to the end of both handshakes.
	Handshake time.Duration
	// Idle is how long both directions may be silent.
	Idle time.Duration
	Seed flow.Seed
	// Leg is told of each TCP connection that the gateway holds with a client or a server, before anything is said in it there; nil: nobody
	// wants to know.
	Leg func(flow.Tuple)
	// KeyLog is where the session keys of both sides of inspected connections are written, or nil. Who has them can read what was said.
	KeyLog io.Writer
}

// Listener is where clients connect by TCP, and what they say first.
type Listener struct {
	net.Listener
	Front front.Front
}

// Hold bounds what a verdict may have the gateway keep of a direction.
type Hold struct {
	Bytes int
	Time  time.Duration
	Open  bool // at a limit, and where the direction ends, what is kept is forwarded; else the connection ends
}

// Defaults that are right for Config.
const (
	DefaultHandshake = 20 * time.Second
	DefaultIdle      = 10 * time.Minute
)

// DefaultHold is right for Config: closed, since whoever decides on Hold wants to see more before it is forwarded.
var DefaultHold = Hold{Bytes: 256 << 10, Time: 10 * time.Second}

// certificates is how many different ones are remembered.
const certificates = 4096

// Gateway is a source.Source.
type Gateway struct {
	cfg   Config
	log   *slog.Logger
	facts *handshake.Certificates
	// sessions is shared by all connections: what is resumed is judged anew.
	sessions *sessionCache
	tickets  tickets
	asking   origin.Asking // origins that asked for a client certificate
	desk     *admission.Desk
	stats    counters
	rules    atomic.Pointer[policy.Table]
	mints    atomic.Pointer[map[string]*authority.Mint]

	mu        sync.Mutex // guards what follows
	inspected map[*session]bool
}

// New returns a Gateway that accepts no connections yet.
func New(cfg Config, log *slog.Logger) (*Gateway, error) {
	switch {
	case len(cfg.Listeners) == 0:
		return nil, errors.New("no listener: nobody could connect")
	case cfg.Rules == nil || cfg.Judge == nil || cfg.Guard == nil:
		return nil, errors.New("rules, judge and guard are needed")
	case cfg.Limits.Validate() != nil || cfg.Handshake <= 0 || cfg.Idle <= 0 || cfg.Hold.Bytes < 1 || cfg.Hold.Time <= 0:
		return nil, errors.New("every limit must be more than 0")
	}
	for _, l := range cfg.Listeners {
		cfg.Guard.Never = append(cfg.Guard.Never, addrPort(l.Addr()))
	}
	if cfg.Pins == nil {
		cfg.Pins = pin.New(pin.Config{})
	}
	if cfg.Blocks == nil {
		cfg.Blocks = func(_, _ string) bool { return false }
	}
	if cfg.Leg == nil {
		cfg.Leg = func(flow.Tuple) {}
	}
	g := &Gateway{
		cfg: cfg, log: log, facts: handshake.NewCertificates(certificates),
		sessions: newSessionCache(), desk: admission.New(cfg.Limits), inspected: map[*session]bool{},
	}
	g.SetMints(cfg.Mints)
	return g, g.SetRules(cfg.Rules)
}

// SetMints has certificates made by others from now on. Those of the rules in force must be there. The map must not change.
func (g *Gateway) SetMints(mints map[string]*authority.Mint) { g.mints.Store(&mints) }

// SetRules puts other rules in force for new connections. Of those that are open, the ones that the new rules would not inspect under the
// same policy are reset; all others go on as they are.
func (g *Gateway) SetRules(t *policy.Table) error {
	for _, name := range t.Authorities() {
		if (*g.mints.Load())[name] == nil {
			return fmt.Errorf("no authority %q", name)
		}
	}
	g.rules.Store(t)
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.inspected {
		s.obey(t)
	}
	return nil
}

// track has SetRules know of a connection that is inspected, until the function that it returns is called.
func (g *Gateway) track(s *session) (forget func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inspected[s] = true
	s.obey(g.rules.Load()) // they may have changed during the handshakes
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.inspected, s)
	}
}

// Run serves clients until ctx is done or a listener fails. It closes the listeners.
func (g *Gateway) Run(ctx context.Context, sink source.Sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	defer all.Wait()
	for _, l := range g.cfg.Listeners {
		defer context.AfterFunc(ctx, func() { l.Close() })()
		all.Go(func() {
			if err := g.accept(ctx, l, sink, &all); err != nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	for _, l := range g.cfg.Listeners {
		l.Close()
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// acceptPause is how long to wait where the machine has no room for another connection.
const acceptPause = 50 * time.Millisecond

func (g *Gateway) accept(ctx context.Context, l Listener, sink source.Sink, all *sync.WaitGroup) error {
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept connections on %s: %w", l.Addr(), err)
		case err != nil: // out of files, as a rule
			g.stats.acceptErrors.Add(1)
			time.Sleep(acceptPause)
			continue
		}
		client := c.(*net.TCPConn)
		leave, err := g.desk.Enter(addrPort(c.RemoteAddr()).Addr())
		if err != nil {
			g.stats.turnedAway(err)
			c.Close()
			continue
		}
		all.Go(func() {
			defer leave()
			g.serve(ctx, l, client, sink)
		})
	}
}

// protect keeps a failure of one connection from the others.
func (g *Gateway) protect(f func()) {
	defer func() {
		if v := recover(); v != nil {
			g.stats.panics.Add(1)
			g.log.Error("connection failed", "component", "gateway", "panic", fmt.Sprint(v))
		}
	}()
	f()
}
