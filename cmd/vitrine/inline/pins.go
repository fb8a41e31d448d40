package inline

import (
	"errors"
	"time"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/gateways"
	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
	"github.com/vitrine-ndr/vitrine/state"
)

// Distrust implements gateways.Gateway.
func (r *Role) Distrust() (all []api.DistrustingClient) {
	for _, d := range r.assembly.Pins().Distrust(time.Now()) {
		all = append(all, api.DistrustingClient{Client: d.Client.String(), Count: d.Count, Names: d.Names, LastSeen: d.LastSeen.UTC()})
	}
	return all
}

// Pins implements gateways.Gateway.
func (r *Role) Pins() (all []api.GatewayPin) {
	for _, p := range r.assembly.Pins().List(time.Now()) {
		shown := api.GatewayPin{
			ID: p.ID, Name: p.Name, Address: p.Address, State: string(p.State), Reason: string(p.Reason), Everybody: p.Everybody,
			Count: p.Count, Clients: len(p.Clients), FirstSeen: p.FirstSeen.UTC(), LastSeen: p.LastSeen.UTC(),
		}
		if !p.Expires.IsZero() {
			shown.Expires = new(p.Expires.UTC())
		}
		all = append(all, shown)
	}
	return all
}

// Judge implements gateways.Gateway.
func (r *Role) Judge(id string, as gateways.Judgement) (err error) {
	switch pins := r.assembly.Pins(); as {
	case gateways.Approve:
		err = pins.Approve(id)
	case gateways.Reject:
		err = pins.Reject(id)
	case gateways.Forget:
		err = pins.Forget(id)
	}
	if errors.Is(err, pin.ErrUnknown) {
		return state.ErrNotFound
	}
	if err != nil {
		return err
	}
	return r.assembly.SavePins()
}
