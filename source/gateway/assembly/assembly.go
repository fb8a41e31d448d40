package assembly

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/divert"
	"github.com/vitrine-ndr/vitrine/source/gateway/front"
	"github.com/vitrine-ndr/vitrine/source/gateway/identity"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// Assembly is a gateway, with the front ends at which clients connect, and what the kernel knows of it.
type Assembly struct {
	*gateway.Gateway
	listeners []gateway.Listener
	kinds     []string // of the listeners
	pins      *keeper
	own       *identity.Set
	log       *slog.Logger

	mu        sync.Mutex       // held while rules change
	diverter  *divert.Diverter // nil if nothing is diverted, or not any more
	diverting bool             // rules may be in the kernel
	mints     map[*authority.Authority]*authority.Mint
}

// Orders are rules, and the authorities that they name.
type Orders struct {
	Rules policy.Rules
	// Authorities are there by name. That of the empty name is for policies that name none.
	Authorities map[string]*authority.Authority
}

// Options are what a program decides, not its configuration.
type Options struct {
	Never  []netip.AddrPort               // where the gateway must not connect to, whatever the configuration allows
	KeyLog io.Writer                      // gets the session keys of both sides; nil: nobody does
	Leg    func(flow.Tuple)               // as in gateway.Config
	Blocks func(policy, host string) bool // likewise
}

// Open opens the front ends; from then on, clients wait for Run. Until Enforce, everything will be handed on as it is.
func (p *Parts) Open(ctx context.Context, o Options, log *slog.Logger) (*Assembly, error) {
	if err := p.pins.moveAside(log); err != nil {
		return nil, err
	}
	a := &Assembly{pins: p.pins, own: p.Identities, log: log, mints: map[*authority.Authority]*authority.Mint{}}
	if port := p.config.Listen.Transparent; port > 0 {
		a.diverter = divert.New(port)
	}
	if err := a.listen(ctx, &p.config.Listen, p.users); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for clients: %w", err), a.Close())
	}
	none, err := policy.Compile(policy.Rules{})
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	c, guard := &p.config, &origin.Guard{Allow: p.allow, Never: o.Never}
	judge := origin.NewOnline(p.roots, origin.Online{Guard: guard, Complete: c.Trust.Complete, Revocation: c.Trust.Revocation}, log)
	a.Gateway, err = gateway.New(gateway.Config{
		Listeners: a.listeners, Rules: none, Judge: judge, Guard: guard, Pins: p.pins.table, Identities: p.Identities, ECH: p.ECH,
		Hold:   gateway.Hold{Bytes: int(c.Hold.Bytes), Time: c.Hold.Time, Open: c.Hold.Open},
		Limits: c.Limits.admission(), Handshake: c.Limits.Handshake, Idle: c.Limits.Idle, Seed: flow.NewSeed(), KeyLog: o.KeyLog, Leg: o.Leg, Blocks: o.Blocks,
	}, log)
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// listen opens the front ends.
func (a *Assembly) listen(ctx context.Context, c *Listen, users *front.Users) error {
	add := func(kind string, l net.Listener, f front.Front) {
		a.listeners, a.kinds = append(a.listeners, gateway.Listener{Listener: l, Front: f}), append(a.kinds, kind)
	}
	for _, l := range []struct {
		kind, address string
		front         front.Front
	}{{"connect", c.Connect, front.Connect(users)}, {"socks5", c.SOCKS5, front.SOCKS5(users)}} {
		if l.address == "" {
			continue
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
		if err != nil {
			return err
		}
		add(l.kind, listener, l.front)
	}
	if c.Transparent == 0 {
		return nil
	}
	diverted, err := divert.Listen(ctx, c.Transparent)
	for _, l := range diverted {
		add("transparent", l, front.Transparent(!c.OwnSource))
	}
	return err
}

// Place is where clients connect.
type Place struct {
	Kind    string // connect, socks5 or transparent
	Address net.Addr
}

// Places are all of them.
func (a *Assembly) Places() (all []Place) {
	for i, l := range a.listeners {
		all = append(all, Place{a.kinds[i], l.Addr()})
	}
	return all
}

// Enforce puts rules in force for new connections, at once, and resets the inspected ones that they would not inspect under the same
// policy. After an error, the rules before stay.
func (a *Assembly) Enforce(o Orders) error {
	table, err := policy.Compile(o.Rules)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	mints, err := a.mintsOf(o.Authorities)
	if err != nil {
		return err
	}
	for _, name := range table.Authorities() {
		if mints[name] == nil {
			return fmt.Errorf("there is no authority %q", name)
		}
	}
	if a.diverter != nil { // the kernel first: it is what may refuse
		a.diverting = true
		if err := a.divert(o.Rules); err != nil {
			return err
		}
	}
	a.SetMints(mints)
	return a.SetRules(table)
}

// mintsOf returns a mint for each authority, the same as before for one that was there before. Valid iff mu is held.
func (a *Assembly) mintsOf(authorities map[string]*authority.Authority) (map[string]*authority.Mint, error) {
	byName, kept := map[string]*authority.Mint{}, map[*authority.Authority]*authority.Mint{}
	for name, x := range authorities {
		if x == nil {
			continue
		}
		m := a.mints[x]
		if m == nil {
			m = kept[x]
		}
		if m == nil {
			var err error
			if m, err = authority.NewMint(x, authority.DefaultCache, time.Now()); err != nil {
				return nil, err
			}
			x.Watch(func(err error) { a.tell(x, err) })
		}
		byName[name], kept[x] = m, m
	}
	a.mints = kept
	return byName, nil
}

// tell logs that an authority ceases to sign, or does again if there is no error.
func (a *Assembly) tell(x *authority.Authority, err error) {
	if err != nil {
		a.log.Error("an authority cannot sign: connections to servers for which it has not signed yet are ended", "component", "gateway", "authority", x, "err", err)
	} else {
		a.log.Info("an authority signs again", "component", "gateway", "authority", x)
	}
}

// Pins is what was learnt of pinned certificates.
func (a *Assembly) Pins() *pin.Table { return a.pins.table }

// SavePins keeps what was learnt at once: what a person has decided must not be lost.
func (a *Assembly) SavePins() error { return a.pins.save() }

// Run serves clients until ctx is done.
func (a *Assembly) Run(ctx context.Context, sink source.Sink) error {
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() { a.pins.keep(keeping, a.log) })
	all.Go(func() { a.remind(keeping) })
	err := a.Gateway.Run(ctx, sink)
	return errors.Join(err, a.withdraw()) // only now: until then the rules in the kernel carry the resets of connections
}

// Close gives up a gateway that was never run. Of one that has run, nothing is left to close.
func (a *Assembly) Close() (err error) {
	for _, l := range a.listeners {
		if e := l.Close(); !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	return errors.Join(err, a.withdraw())
}

// withdraw takes the rules out of the kernel, for good.
func (a *Assembly) withdraw() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.diverting {
		return nil
	}
	d := a.diverter
	a.diverter, a.diverting = nil, false
	return d.Remove()
}
