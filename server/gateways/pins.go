package gateways

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/state"
)

type pinInput struct {
	ID string `path:"id" maxLength:"64" doc:"Id of the pin"`
}

func (g *Gateways) registerPins(a huma.API) {
	const path = "/api/v1/gateway/pins"
	op := g.site.Operation
	register(g, a, op("list-gateway-pins", http.MethodGet, path, false, "List pins",
		"Returns the servers whose clients accept only certificates of their own choice, or seem to, the latest first."), g.listPins)
	register(g, a, op("approve-gateway-pin", http.MethodPost, path+"/{id}/approve", true, "Approve a pin",
		"Has new connections to the server handed on as they are, for all clients.", http.StatusNotFound, http.StatusConflict), g.judging(Approve))
	register(g, a, op("reject-gateway-pin", http.MethodPost, path+"/{id}/reject", true, "Reject a pin",
		"Has connections to the server inspected, whatever its clients do.", http.StatusNotFound, http.StatusConflict), g.judging(Reject))
	register(g, a, op("forget-gateway-pin", http.MethodDelete, path+"/{id}", true, "Forget a pin",
		"Has the server learnt anew, if its clients still refuse.", http.StatusNotFound, http.StatusConflict), g.judging(Forget))
	register(g, a, op("list-gateway-distrust", http.MethodGet, "/api/v1/gateway/distrust", false, "List clients that do not trust the gateway",
		"Returns the clients that refuse the gateway's certificates whatever the server, the latest first: they lack its root."), g.distrust)
}

func (g *Gateways) listPins(context.Context, *nothing) (*output[api.GatewayPins], error) {
	out := api.GatewayPins{Pins: []api.GatewayPin{}}
	if g.gateway != nil {
		out.Pins = append(out.Pins, g.gateway.Pins()...)
	}
	return answer(out), nil
}

func (g *Gateways) judging(as Judgement) func(context.Context, *pinInput) (*nothing, error) {
	return func(ctx context.Context, in *pinInput) (*nothing, error) {
		if g.gateway == nil {
			return nil, huma.Error409Conflict("There is no gateway on this machine: " + g.site.Role().Why + ".")
		}
		action, name := actions+"pin."+string(as), g.pinned(in.ID)
		if err := g.site.Audit(ctx, action, in.ID, name, state.OK); err != nil {
			return nil, err
		}
		if err := g.gateway.Judge(in.ID, as); err != nil {
			_ = g.site.Audit(ctx, action, in.ID, name, state.FailedToDo)
			if !errors.Is(err, state.ErrNotFound) {
				err = huma.Error409Conflict("The gateway can't do this: " + err.Error() + ".")
			}
			return nil, err
		}
		return &nothing{}, nil
	}
}

// pinned returns the name of a pin's server.
func (g *Gateways) pinned(id string) string {
	for _, p := range g.gateway.Pins() {
		if p.ID == id {
			return p.Name
		}
	}
	return ""
}

func (g *Gateways) distrust(context.Context, *nothing) (*output[api.GatewayDistrust], error) {
	out := api.GatewayDistrust{Clients: []api.DistrustingClient{}}
	if g.gateway != nil {
		out.Clients = append(out.Clients, g.gateway.Distrust()...)
	}
	return answer(out), nil
}
