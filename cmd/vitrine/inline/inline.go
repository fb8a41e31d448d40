// Package inline is the gateway within vitrine up: settings and the book of what people have decided come in; a gateway that the API
// steers goes out. What it sees goes to a Sink.
package inline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/export/outlet"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/config"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/gateways"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/assembly"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
)

// Config is the part of the configuration of vitrine up that is about the gateway.
type Config struct {
	On              bool `yaml:"on" flag:"gateway" doc:"stand in the way of TLS connections, as policies in the console say"`
	assembly.Config `yaml:",inline"`
	Modules         []string      `yaml:"pkcs11_modules" doc:"libraries by which authorities that are imported may reach keys in PKCS#11 tokens: their code runs within this program"`
	Contact         string        `yaml:"contact" doc:"whom the page that a blocked client sees tells to ask"`
	Doubt           inspect.Doubt `yaml:"doubt" doc:"where rules block, what becomes of requests that can be understood in two ways, and of connections of which parsing has failed: block or pass"`
	Hashed          config.Size   `yaml:"hashed" doc:"longest body or file of which events have the SHA-256; 0: of none"`
	Export          outlet.Config `yaml:"export"`
}

// Validate checks what no part checks by itself.
func (c *Config) Validate() error {
	return errors.Join(c.Config.Validate(), c.Export.Validate(), c.Doubt.Validate("doubt"))
}

// DefaultConfig listens for this machine's own programs.
func DefaultConfig() Config {
	c := Config{Config: assembly.Default(), Doubt: inspect.BlockDoubt}
	c.Listen = assembly.Listen{Connect: "127.0.0.1:3128", SOCKS5: "127.0.0.1:1080"}
	return c
}

// Deps are what the gateway needs of others.
type Deps struct {
	Book  *gateways.Book
	Data  string           // folder for what is learnt, if the configuration names no file
	Dir   string           // that files of the configuration lie in
	Never []netip.AddrPort // where it must not connect to, whatever is allowed
	Leg   func(flow.Tuple) // as in gateway.Config
	Keys  io.Writer        // likewise, KeyLog
	Log   *slog.Logger
}

// Role is the gateway. It implements gateways.Gateway.
type Role struct {
	assembly *assembly.Assembly
	log      *slog.Logger

	engine atomic.Pointer[detect.Engine]

	mu     sync.Mutex
	orders gateways.Orders // in force
}

// Open opens the front ends and puts what is in the book in force. From then on, clients wait for Run; without it, Close must be called.
func Open(ctx context.Context, cfg *Config, deps Deps) (*Role, error) {
	settings := cfg.Config
	if settings.Pins.Learnt == "" {
		data, err := filepath.Abs(deps.Data)
		if err != nil {
			return nil, err
		}
		settings.Pins.Learnt = filepath.Join(data, "pins.json")
	}
	parts, err := settings.Read(deps.Dir)
	if err != nil {
		return nil, err
	}
	orders, err := deps.Book.Current(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	for _, f := range orders.Faults {
		deps.Log.Error("a policy is not in force", "err", f)
	}
	r := &Role{log: deps.Log}
	blocks := func(policy, host string) bool { return r.engine.Load().BlocksAt(policy, host) }
	r.assembly, err = parts.Open(ctx, assembly.Options{Never: deps.Never, Leg: deps.Leg, KeyLog: deps.Keys, Blocks: blocks}, deps.Log)
	if err != nil {
		return nil, fmt.Errorf("%w; choose other places with gateway.listen, --connect and --socks5", err)
	}
	if err := r.Apply(orders); err != nil {
		return nil, fmt.Errorf("put the gateway's rules in force: %w", errors.Join(err, r.assembly.Close()))
	}
	return r, nil
}

const (
	// reminded is how often the log reminds of authorities that should be replaced.
	reminded = 24 * time.Hour
	// checked is how often an authority that cannot sign is asked whether it can again.
	checked = time.Minute
)

// Run serves clients until ctx is done.
func (r *Role) Run(ctx context.Context, sink source.Sink) error {
	reminding, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() { r.remind(reminding) })
	all.Go(func() { r.check(reminding) })
	return r.assembly.Run(ctx, sink)
}

func (r *Role) remind(ctx context.Context) {
	tick := time.NewTicker(reminded)
	defer tick.Stop()
	for {
		for _, a := range r.inForce().Authorities {
			if a != nil {
				assembly.Remind(r.log, a, time.Now())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// check finds out whether authorities can sign, at first and where one could not, until ctx is done.
func (r *Role) check(ctx context.Context) {
	tick := time.NewTicker(checked)
	defer tick.Stop()
	for first := true; ; first = false {
		for _, a := range r.inUse() {
			if first || a.Fault() != nil {
				_ = a.Check() // whoever watches it is told
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// inUse are the authorities of enabled policies, by their names.
func (r *Role) inUse() map[string]*authority.Authority {
	o, used := r.inForce(), map[string]*authority.Authority{}
	for _, p := range o.Rules.Policies {
		if a := o.Authorities[p.Authority]; !p.Disabled && a != nil {
			used[p.Authority] = a
		}
	}
	return used
}

// Close gives up a gateway that was never run. Of one that has run, nothing is left to close.
func (r *Role) Close() error { return r.assembly.Close() }

// Apply implements gateways.Gateway.
func (r *Role) Apply(o gateways.Orders) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.engine.Swap(o.Engine) // first: connections that a new policy inspects are judged by the new rules
	authorities := maps.Clone(o.Authorities)
	authorities[""] = o.First
	if err := r.assembly.Enforce(assembly.Orders{Rules: o.Rules, Authorities: authorities}); err != nil {
		r.engine.Store(before)
		return err
	}
	r.orders = o
	return nil
}

// Engine is by which requests are judged. It is exchanged with the orders.
func (r *Role) Engine() *atomic.Pointer[detect.Engine] { return &r.engine }

func (r *Role) inForce() gateways.Orders {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.orders
}

// Stats are the counts so far.
func (r *Role) Stats() gateway.Stats { return r.assembly.Stats() }

// Faults tell why some policies are not in force, or new connections under them fail.
func (r *Role) Faults() []string {
	faults := slices.Clone(r.inForce().Faults)
	used := r.inUse()
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if err := used[name].Fault(); err != nil {
			faults = append(faults, fmt.Sprintf("the authority %s cannot sign: %v", name, err))
		}
	}
	return faults
}

// Status implements gateways.Gateway.
func (r *Role) Status() api.Gateway {
	s := r.Stats()
	out := api.Gateway{Running: true, Stats: api.GatewayStats{
		Open: s.Open, Inspected: s.Actions[flow.Inspect], Bypassed: s.Actions[flow.Bypass], Blocked: s.Actions[flow.Block] + s.Blocked,
		OverCapacity: s.OverCapacity + s.OverClient, Unreachable: s.Unreachable, Guarded: s.Guarded, Refused: s.Refused,
		Reasons: byName(s.Reasons), Faults: byName(s.Faults),
	}}
	for _, p := range r.assembly.Places() {
		out.Listeners = append(out.Listeners, api.GatewayListener{Kind: p.Kind, Address: p.Address.String()})
	}
	return out
}

func byName[K ~string](counts map[K]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for k, n := range counts {
		out[string(k)] = n
	}
	return out
}

// Why tells what the gateway does, for people.
func (r *Role) Why() string {
	var places []string
	for _, p := range r.assembly.Places() {
		places = append(places, p.Kind+" "+p.Address.String())
	}
	enabled := 0
	for _, p := range r.inForce().Rules.Policies {
		if !p.Disabled {
			enabled++
		}
	}
	what := fmt.Sprintf("%d policies are enabled", enabled)
	switch enabled {
	case 0:
		what = "no policy is enabled, so nothing is looked into: make one in the console"
	case 1:
		what = "1 policy is enabled"
	}
	return strings.Join(places, ", ") + "; " + what
}
