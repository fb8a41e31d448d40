package gateways

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
	"github.com/vitrine-ndr/vitrine/state"
)

type idInput struct {
	ID string `path:"id" maxLength:"64" doc:"Id of the rule"`
}

type policyInput struct {
	ID   string `path:"id" maxLength:"64" doc:"Id of the policy"`
	Body api.GatewayPolicy
}

func (g *Gateways) registerPolicies(a huma.API) {
	const path = "/api/v1/gateway/policies"
	op := g.site.Operation
	register(g, a, op("list-gateway-policies", http.MethodGet, path, false, "List policies",
		"Returns which connections the gateway looks into, in the order that counts, and the quota."), g.listPolicies)
	register(g, a, op("create-gateway-policy", http.MethodPost, path, true, "Make a policy",
		"Adds a policy behind the others. It is disabled unless disabled is false. A mistake is answered with 422; errors[].location says where it is.",
		http.StatusConflict, http.StatusUnprocessableEntity), g.createPolicy)
	register(g, a, op("get-gateway-policy", http.MethodGet, path+"/{id}", false, "Read a policy", "Returns the policy.", http.StatusNotFound), g.getPolicy)
	register(g, a, op("change-gateway-policy", http.MethodPut, path+"/{id}", true, "Change a policy",
		"Puts another form of the policy in its place. If it is enabled, new connections follow it at once; inspected ones that it would not inspect are reset.",
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity), g.changePolicy)
	register(g, a, op("delete-gateway-policy", http.MethodDelete, path+"/{id}", true, "Delete a policy",
		"Only a disabled one can be deleted.", http.StatusNotFound, http.StatusConflict), g.deletePolicy)
	register(g, a, op("enable-gateway-policy", http.MethodPost, path+"/{id}/enable", true, "Enable a policy",
		"New connections are inspected from now on; those that are open go on as they are.", http.StatusNotFound, http.StatusConflict), g.switching("enable", false))
	register(g, a, op("disable-gateway-policy", http.MethodPost, path+"/{id}/disable", true, "Disable a policy",
		"Connections that are inspected under the policy are reset; new ones are not inspected under it any more.", http.StatusNotFound, http.StatusConflict), g.switching("disable", true))
	register(g, a, op("order-gateway-policies", http.MethodPut, "/api/v1/gateway/policy-order", true, "Order policies",
		"A connection belongs to the first policy that it fits.", http.StatusUnprocessableEntity), g.orderPolicies)
	register(g, a, op("check-gateway-policy", http.MethodPost, "/api/v1/gateway/policy-check", true, "Check a policy",
		"Says what is wrong with a policy, and what it would take of the quota beside the others. Nothing is changed."), g.checkPolicy)
}

func (g *Gateways) listPolicies(ctx context.Context, _ *nothing) (*output[api.GatewayPolicies], error) {
	r, err := g.book.Rules(ctx)
	if err != nil {
		return nil, err
	}
	return shownPolicies(r)
}

func shownPolicies(r Rules) (*output[api.GatewayPolicies], error) {
	out := api.GatewayPolicies{Policies: []api.StoredPolicy{}, Quota: quotaOf(r.Policies)}
	for _, p := range r.Policies {
		s, err := shown(p)
		if err != nil {
			return nil, err
		}
		out.Policies = append(out.Policies, s)
	}
	return answer(out), nil
}

// shown is a policy in the form of the API: the same, but with text for addresses and ports.
func shown(p policy.Policy) (out api.StoredPolicy, err error) {
	text, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(text, &out.GatewayPolicy)
	}
	if err != nil {
		return out, fmt.Errorf("show policy %q: %w", p.ID, err)
	}
	out.Disabled, out.QuotaUsed = &p.Disabled, quotaOf([]policy.Policy{p}).Used
	return out, nil
}

func quotaOf(policies []policy.Policy) api.Quota {
	used := (&policy.Rules{Policies: policies}).Quota()
	return api.Quota{Used: used, Left: policy.MaxQuota - used, Max: policy.MaxQuota}
}

func (r *Rules) policy(id string) (int, error) {
	i := slices.IndexFunc(r.Policies, func(p policy.Policy) bool { return p.ID == id })
	if i < 0 {
		return i, state.ErrNotFound
	}
	return i, nil
}

func (g *Gateways) getPolicy(ctx context.Context, in *idInput) (*output[api.StoredPolicy], error) {
	r, err := g.book.Rules(ctx)
	if err != nil {
		return nil, err
	}
	return r.shown(in.ID)
}

func (r *Rules) shown(id string) (*output[api.StoredPolicy], error) {
	i, err := r.policy(id)
	if err != nil {
		return nil, err
	}
	p, err := shown(r.Policies[i])
	return answer(p), err
}

func (g *Gateways) createPolicy(ctx context.Context, in *input[api.GatewayPolicy]) (*output[api.StoredPolicy], error) {
	p, problems := written(in.Body, true)
	r, err := g.take(ctx, &step{action: "policy.create", object: p.ID, summary: summary(p), edit: func(r *Rules) (func(context.Context) error, error) {
		if _, err := r.policy(p.ID); err == nil {
			return nil, huma.Error409Conflict("There is a policy with this id already. Choose another id.")
		}
		if err := g.refuse(ctx, *r, p, problems); err != nil {
			return nil, err
		}
		r.Policies = append(r.Policies, p)
		return g.book.save(state.PolicyRule, p.ID, p)
	}})
	if err != nil {
		return nil, err
	}
	return r.shown(p.ID)
}

func (g *Gateways) changePolicy(ctx context.Context, in *policyInput) (*output[api.StoredPolicy], error) {
	if in.Body.ID != in.ID {
		return nil, huma.Error422UnprocessableEntity("The id of a policy stays, since events have it. Make another policy instead.", &huma.ErrorDetail{Message: "must be the id in the path", Location: "body.id"})
	}
	return g.replace(ctx, "policy.change", in.ID, func(old policy.Policy) (policy.Policy, []api.PolicyProblem) { return written(in.Body, old.Disabled) })
}

func (g *Gateways) switching(action string, disabled bool) func(context.Context, *idInput) (*output[api.StoredPolicy], error) {
	return func(ctx context.Context, in *idInput) (*output[api.StoredPolicy], error) {
		return g.replace(ctx, "policy."+action, in.ID, func(p policy.Policy) (policy.Policy, []api.PolicyProblem) {
			p.Disabled = disabled
			return p, nil
		})
	}
}

// replace puts another form of a policy in its place.
func (g *Gateways) replace(ctx context.Context, action, id string, change func(policy.Policy) (policy.Policy, []api.PolicyProblem)) (*output[api.StoredPolicy], error) {
	s := &step{action: action, object: id}
	s.edit = func(r *Rules) (func(context.Context) error, error) {
		i, err := r.policy(id)
		if err != nil {
			return nil, err
		}
		p, problems := change(r.Policies[i])
		if err := g.refuse(ctx, *r, p, problems); err != nil {
			return nil, err
		}
		r.Policies[i], s.summary = p, summary(p)
		return g.book.save(state.PolicyRule, id, p)
	}
	r, err := g.take(ctx, s)
	if err != nil {
		return nil, err
	}
	return r.shown(id)
}

func (g *Gateways) deletePolicy(ctx context.Context, in *idInput) (*nothing, error) {
	_, err := g.take(ctx, &step{action: "policy.delete", object: in.ID, edit: func(r *Rules) (func(context.Context) error, error) {
		i, err := r.policy(in.ID)
		if err != nil {
			return nil, err
		}
		if !r.Policies[i].Disabled {
			return nil, huma.Error409Conflict("The policy is enabled, and connections are inspected under it. Disable it first.")
		}
		r.Policies = slices.Delete(r.Policies, i, i+1)
		return func(ctx context.Context) error { return g.book.db.DeleteGatewayRule(ctx, state.PolicyRule, in.ID) }, nil
	}})
	return &nothing{}, err
}

func (g *Gateways) orderPolicies(ctx context.Context, in *input[api.PolicyOrder]) (*output[api.GatewayPolicies], error) {
	ids := in.Body.IDs
	r, err := g.take(ctx, &step{action: "policy.order", summary: strings.Join(ids, ", "), edit: func(r *Rules) (func(context.Context) error, error) {
		place := map[string]int{}
		for i, id := range ids {
			place[id] = i
		}
		for _, p := range r.Policies {
			if _, ok := place[p.ID]; !ok || len(ids) != len(r.Policies) || len(place) != len(ids) {
				return nil, huma.Error422UnprocessableEntity("The order must have the id of each policy once. Perhaps somebody has changed the policies: read them again.")
			}
		}
		slices.SortFunc(r.Policies, func(a, b policy.Policy) int { return place[a.ID] - place[b.ID] })
		return func(ctx context.Context) error { return g.book.db.OrderGatewayRules(ctx, state.PolicyRule, ids) }, nil
	}})
	if err != nil {
		return nil, err
	}
	return shownPolicies(r)
}

// summary tells what a policy does, for the record of changes.
func summary(p policy.Policy) string {
	how := "enabled"
	if p.Disabled {
		how = "disabled"
	}
	return fmt.Sprintf("%s; authority %s; scopes: %d, using %d of the quota", how, p.Authority, len(p.Scopes), quotaOf([]policy.Policy{p}).Used)
}

func (g *Gateways) checkPolicy(ctx context.Context, in *input[api.GatewayPolicy]) (*output[api.PolicyCheck], error) {
	r, err := g.book.Rules(ctx)
	if err != nil {
		return nil, err
	}
	p, problems := written(in.Body, true)
	if problems, err = g.problems(ctx, r, p, problems); err != nil {
		return nil, err
	}
	out := api.PolicyCheck{Problems: problems, Quota: api.PolicyQuota{Quota: quotaOf(r.with(p)), Scopes: []api.ScopeQuota{}}}
	for _, s := range p.Scopes {
		c := s.Complete()
		out.Quota.Scopes = append(out.Quota.Scopes, api.ScopeQuota{
			ID: s.ID, Sources: len(c.Sources), SourceRanges: len(c.SourcePorts), Destinations: len(c.Destinations), DestinationRanges: len(c.DestinationPorts), Units: s.Quota(),
		})
	}
	return answer(out), nil
}

// refuse answers what is wrong with a policy beside the others.
func (g *Gateways) refuse(ctx context.Context, r Rules, p policy.Policy, problems []api.PolicyProblem) error {
	problems, err := g.problems(ctx, r, p, problems)
	if err != nil || len(problems) == 0 {
		return err
	}
	var details []error
	for _, x := range problems {
		details = append(details, &huma.ErrorDetail{Message: x.Message, Location: "body." + x.Field})
	}
	return huma.Error422UnprocessableEntity("The policy can't be like this: "+problems[0].Message+".", details...)
}

// problems adds what is wrong with a policy beside the others to what was found while it was read.
func (g *Gateways) problems(ctx context.Context, r Rules, p policy.Policy, found []api.PolicyProblem) ([]api.PolicyProblem, error) {
	for _, m := range p.Mistakes() {
		found = append(found, api.PolicyProblem(m))
	}
	all := policy.Rules{Policies: r.with(p)}
	if err := all.CheckQuota(); err != nil {
		found = append(found, api.PolicyProblem{Field: "scopes", Message: err.Error()})
	}
	stored, err := g.book.db.GatewayAuthorities(ctx)
	if !slices.ContainsFunc(stored, func(a state.GatewayAuthority) bool { return a.Name == p.Authority }) {
		found = append(found, api.PolicyProblem{Field: "authority", Message: fmt.Sprintf("there is no authority %q: choose one, import one, or make the trial one", p.Authority)})
	}
	return found, err
}

// with returns the policies and this one, in place of one with its id.
func (r Rules) with(p policy.Policy) []policy.Policy {
	policies := r.clone().Policies
	if i, err := r.policy(p.ID); err == nil {
		policies[i] = p
		return policies
	}
	return append(policies, p)
}

// written makes a policy of what somebody wrote, and tells what of it cannot be read.
func written(in api.GatewayPolicy, disabled bool) (policy.Policy, []api.PolicyProblem) {
	problems := []api.PolicyProblem{}
	p := policy.Policy{ID: in.ID, Name: in.Name, Description: in.Description, Authority: in.Authority, Disabled: disabled, Cases: in.Cases}
	if in.Disabled != nil {
		p.Disabled = *in.Disabled
	}
	for i, s := range in.Scopes {
		at := fmt.Sprintf("scopes[%d].", i)
		p.Scopes = append(p.Scopes, policy.Scope{
			ID: s.ID, Description: s.Description, AllowQUIC: s.AllowQUIC,
			Sources:      texts[policy.Addresses](&problems, at+"sources", s.Sources),
			SourcePorts:  texts[policy.Ports](&problems, at+"source_ports", s.SourcePorts),
			Destinations: texts[policy.Addresses](&problems, at+"destinations", s.Destinations),

			DestinationPorts: texts[policy.Ports](&problems, at+"destination_ports", s.DestinationPorts),
		})
	}
	return p, problems
}

// texts reads each text of a list. What cannot be read is a problem, and a zero value in its place.
func texts[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](problems *[]api.PolicyProblem, field string, list []string) []T {
	out := make([]T, len(list))
	for i, text := range list {
		if err := P(&out[i]).UnmarshalText([]byte(strings.TrimSpace(text))); err != nil {
			*problems = append(*problems, api.PolicyProblem{Field: fmt.Sprintf("%s[%d]", field, i), Message: err.Error()})
		}
	}
	return out
}
