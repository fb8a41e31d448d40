package main

import (
	"context"
	"net"
	"net/netip"

	"github.com/vitrine-ndr/vitrine/cmd/vitrine/inline"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/export/outlet"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
	"github.com/vitrine-ndr/vitrine/server/api"
)

// gatewayRole is the gateway within vitrine up, and what makes events of what it sees.
type gatewayRole struct {
	*inline.Role
	inspector *inspect.Inspector
	outlet    *outlet.Outlet
}

// openGateway opens the gateway, if it is asked for. It was asked for by name: if it cannot do all that it should, nothing runs.
func (m *machine) openGateway(ctx context.Context) error {
	if !m.cfg.Gateway.On {
		return nil
	}
	log := m.log.With("component", "gateway")
	out, err := m.cfg.Gateway.Export.Open("", m.cfg.folder, log)
	if err != nil {
		return err
	}
	m.closeLater(out.Close)
	role, err := inline.Open(ctx, &m.cfg.Gateway, inline.Deps{
		Book: m.book, Data: m.cfg.Data, Dir: m.cfg.folder, Never: []netip.AddrPort{m.listener.Addr().(*net.TCPAddr).AddrPort()},
		Leg: m.relayed.Add, Keys: out.Keys(), Log: log,
	})
	if err != nil {
		return err
	}
	m.closeLater(role.Close)
	limits := parse.DefaultLimits
	limits.Hashed = int64(m.cfg.Gateway.Hashed)
	inspector := inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: limits, Time: inspect.DefaultTime,
		Origin: event.Origin{Agent: m.host, Vantage: event.Gateway}, Emit: m.openPublisher(event.Gateway).Emit, Log: log,
		Detect: role.Engine(), Doubtful: m.cfg.Gateway.Doubt == inspect.PassDoubt, Contact: m.cfg.Gateway.Contact,
	})
	m.gateway = &gatewayRole{role, inspector, out}
	return nil
}

func (m *machine) runGateway(ctx context.Context) error {
	return m.gateway.Run(ctx, m.gateway.outlet.Sink(m.sink(m.gateway.inspector, m.after)))
}

func (m *machine) roleOfGateway() api.RoleOf {
	if m.gateway == nil {
		return api.RoleOf{Name: "gateway", Off: api.NotTurnedOn, Why: "turn it on with --gateway; docs/gateway.md tells what it does"}
	}
	return api.RoleOf{Name: "gateway", On: true, Why: m.gateway.Why()}
}
