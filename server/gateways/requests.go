package gateways

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/server/api"
)

// requestsSetting keeps the rules about requests in the state.
const requestsSetting = "gateway.rules"

func (g *Gateways) registerRequests(a huma.API) {
	const path = "/api/v1/gateway/rules"
	op := g.site.Operation
	register(g, a, op("get-gateway-rules", http.MethodGet, path, false, "Read the rules about requests",
		"Returns the rules for URLs and applications by which requests in inspected connections are judged."), g.getRequests)
	register(g, a, op("change-gateway-rules", http.MethodPut, path, true, "Change the rules about requests",
		"Puts other rules in force for requests that begin from now on, but in connections that no rule could block when they began. Mistakes are answered with 422, one in each of errors[].", http.StatusConflict, http.StatusUnprocessableEntity), g.putRequests)
	register(g, a, op("list-gateway-applications", http.MethodGet, "/api/v1/gateway/applications", false, "List applications",
		"Returns the services on the web that rules may name."), g.listApplications)
}

func (g *Gateways) getRequests(ctx context.Context, _ *nothing) (*output[api.RequestRules], error) {
	r, err := g.book.Rules(ctx)
	return answer(api.RequestRules{Text: r.Requests}), err
}

func (g *Gateways) putRequests(ctx context.Context, in *input[api.RequestRules]) (*output[api.RequestRules], error) {
	text := in.Body.Text
	s := &step{action: "rules.change"}
	s.edit = func(r *Rules) (func(context.Context) error, error) {
		engine, err := detect.Parse([]byte(text))
		if err != nil {
			return nil, mistakes(err)
		}
		r.Requests, s.summary = text, fmt.Sprintf("rules: %d", len(engine.Rules()))
		return func(ctx context.Context) error { return g.book.db.SetSetting(ctx, requestsSetting, text) }, nil
	}
	r, err := g.take(ctx, s)
	return answer(api.RequestRules{Text: r.Requests}), err
}

// mistakes answers each line of an error by itself.
func mistakes(err error) error {
	var details []error
	for line := range strings.Lines(err.Error()) {
		details = append(details, &huma.ErrorDetail{Message: strings.TrimSpace(line), Location: "body.text"})
	}
	return huma.Error422UnprocessableEntity("The rules can't be like this: see errors for each mistake.", details...)
}

func (g *Gateways) listApplications(context.Context, *nothing) (*output[api.GatewayApplications], error) {
	known, err := detect.Applications()
	if err != nil {
		return nil, err
	}
	out := api.GatewayApplications{Applications: []api.GatewayApplication{}}
	for _, a := range known {
		out.Applications = append(out.Applications, api.GatewayApplication{ID: a.ID, Name: a.Name, Kind: a.Kind, URLs: a.URLs})
	}
	return answer(out), nil
}
