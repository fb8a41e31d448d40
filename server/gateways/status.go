package gateways

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
)

type changesInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Entries at the most"`
}

// Register adds all routes.
func (g *Gateways) Register(a huma.API) {
	op := g.site.Operation
	register(g, a, op("get-gateway", http.MethodGet, "/api/v1/gateway", false, "How is the gateway doing",
		"Whether the gateway of the server's machine runs, and if not, why; where clients connect; what it did with connections; the quota; the authorities."), g.status)
	g.registerPolicies(a)
	g.registerExceptions(a)
	g.registerAuthorities(a)
	g.registerPins(a)
	g.registerRequests(a)
	register(g, a, op("list-gateway-changes", http.MethodGet, "/api/v1/gateway/changes", true, "List changes",
		"Returns who changed what, the latest first: the part of the audit trail that is about the gateway."), g.changes)
}

func (g *Gateways) status(ctx context.Context, _ *nothing) (*output[api.Gateway], error) {
	out := api.Gateway{Stats: api.GatewayStats{Reasons: map[string]uint64{}, Faults: map[string]uint64{}}}
	if g.gateway != nil {
		out = g.gateway.Status()
	} else {
		role := g.site.Role()
		out.Off, out.WhyNot = role.Off, role.Why
	}
	r, err := g.book.Rules(ctx)
	if err != nil {
		return nil, err
	}
	out.Quota = quotaOf(r.Policies)
	if out.Authorities, err = g.authorities(ctx); err != nil {
		return nil, err
	}
	orders, err := g.book.Orders(ctx, r, time.Now())
	if err != nil {
		return nil, err
	}
	out.Faults, out.Listeners = append([]string{}, orders.Faults...), append([]api.GatewayListener{}, out.Listeners...)
	return answer(out), nil
}

// actions begins the names of what is done here in the audit trail.
const actions = "gateway."

func (g *Gateways) changes(ctx context.Context, in *changesInput) (*output[api.GatewayChanges], error) {
	entries, err := g.book.db.AuditEntries(ctx, actions, in.Limit)
	if err != nil {
		return nil, err
	}
	out := api.GatewayChanges{Changes: []api.GatewayChange{}}
	for _, e := range entries {
		out.Changes = append(out.Changes, api.GatewayChange{
			Time: e.Time, User: e.Actor, Action: strings.TrimPrefix(e.Action, actions), Object: e.Target, Summary: e.Summary, Outcome: string(e.Outcome),
		})
	}
	return answer(out), nil
}
