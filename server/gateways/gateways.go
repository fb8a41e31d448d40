// Package gateways has the routes of the API by which people steer the gateway, and the book of what they have decided. Requests come
// in; rules and authorities go to the gateway, and into the state once it follows them. It knows nothing of connections: what it
// needs of the gateway is in the interface Gateway.
package gateways

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/state"
)

// Gateway stands in the way of connections. Its methods may be called concurrently, and return what the caller may keep.
type Gateway interface {
	// Status tells how it is doing. Quota and authorities are the book's; lists may be nil.
	Status() api.Gateway
	// Apply puts the orders in force for new connections, and resets the inspected ones that they would not have inspected. After an error
	// those before stay.
	Apply(Orders) error
	// Distrust returns the clients that refuse its certificates whatever the server, the latest first.
	Distrust() []api.DistrustingClient
	// Pins returns the servers whose clients accept only certificates of their own choice, the latest first.
	Pins() []api.GatewayPin
	// Judge keeps what a person decides about a pin. It returns state.ErrNotFound if there is none of the id.
	Judge(id string, as Judgement) error
}

// Judgement is what a person decides about a pin.
type Judgement string

const (
	Approve Judgement = "approve" // bypassed from now on, for all clients
	Reject  Judgement = "reject"  // never bypassed from now on
	Forget  Judgement = "forget"  // learnt anew, if its clients still refuse
)

// Site is what the routes need of the server that they are part of.
type Site struct {
	// Operation describes a route for all who may see what was observed or, if it changes something, for administrators.
	Operation func(id, method, path string, changes bool, summary, description string, errs ...int) huma.Operation
	// Problem makes an answer of an error, and hides what is not meant for the caller.
	Problem func(ctx context.Context, operation string, err error) error
	// Audit records what the caller does. Who may not be recorded may not act.
	Audit func(ctx context.Context, action, target, summary string, outcome state.Outcome) error
	// Role says why there is no gateway.
	Role func() api.RoleOf
}

// Gateways answers for one gateway.
type Gateways struct {
	site    Site
	book    *Book
	gateway Gateway // nil if it is off
	log     *slog.Logger
	// changing is held while something is changed, so that what is kept is what is in force.
	changing sync.Mutex
	trial    sync.Mutex // held while a trial authority is made
}

// New returns what Register needs. The gateway is nil if it is off: then what is decided is kept until there is one.
func New(site Site, book *Book, gateway Gateway, log *slog.Logger) *Gateways {
	return &Gateways{site: site, book: book, gateway: gateway, log: log}
}

// register adds a route whose handler may return any error.
func register[I, O any](g *Gateways, a huma.API, op huma.Operation, h func(context.Context, *I) (*O, error)) {
	huma.Register(a, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, g.site.Problem(ctx, op.OperationID, err)
		}
		return out, nil
	})
}

type nothing struct{}

// output is an answer in JSON.
type output[T any] struct{ Body T }

// input is a request in JSON.
type input[T any] struct{ Body T }

func answer[T any](body T) *output[T] { return &output[T]{body} }

// step is one thing that somebody changes.
type step struct {
	action, object, summary string
	// edit changes the rules in memory. It returns what keeps that change in the state.
	edit func(*Rules) (keep func(context.Context) error, err error)
}

// take checks a step, puts it in force, and keeps it, or leaves everything as it was. It returns the rules as they are then.
func (g *Gateways) take(ctx context.Context, s *step) (Rules, error) {
	g.changing.Lock()
	defer g.changing.Unlock()
	before, err := g.book.Rules(ctx)
	if err != nil {
		return Rules{}, err
	}
	after := before.clone()
	keep, err := s.edit(&after)
	if err != nil {
		return before, err
	}
	if err := g.enforce(ctx, s, before, after, keep); err != nil {
		return before, err
	}
	return after, nil
}

func (g *Gateways) enforce(ctx context.Context, s *step, before, after Rules, keep func(context.Context) error) (err error) {
	rules := after.all()
	if err := rules.Validate(); err != nil {
		return huma.Error422UnprocessableEntity("The rules can't be like this: " + err.Error() + ".")
	}
	if err := g.site.Audit(ctx, actions+s.action, s.object, s.summary, state.OK); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = g.site.Audit(ctx, actions+s.action, s.object, s.summary, state.FailedToDo)
		}
	}()
	if err := g.apply(ctx, before, after); err != nil {
		return err
	}
	if err := keep(ctx); err != nil {
		return fmt.Errorf("keep the change: %w", errors.Join(err, g.apply(ctx, after, before)))
	}
	g.log.Info("the gateway's rules changed", "action", s.action, "object", s.object)
	return nil
}

// apply has the gateway follow other rules. It refuses those that can be followed in part only, unless that is so already.
func (g *Gateways) apply(ctx context.Context, before, after Rules) error {
	orders, err := g.book.Orders(ctx, after, time.Now())
	if err != nil {
		return err
	}
	known, err := g.book.Orders(ctx, before, time.Now())
	if err != nil {
		return err
	}
	if fault := newFault(known.Faults, orders.Faults); fault != "" {
		return huma.Error409Conflict("This can't be put in force: " + fault + ".")
	}
	if g.gateway == nil {
		return nil
	}
	if err := g.gateway.Apply(orders); err != nil {
		return huma.Error409Conflict("The gateway can't do this, and goes on as before: " + err.Error() + ".")
	}
	return nil
}
