package gateways

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/rules/categories"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
	"github.com/vitrine-ndr/vitrine/state"
)

type exceptionInput struct {
	ID   string `path:"id" maxLength:"64" doc:"Id of the exception"`
	Body api.GatewayException
}

func (g *Gateways) registerExceptions(a huma.API) {
	const path = "/api/v1/gateway/exceptions"
	op := g.site.Operation
	register(g, a, op("list-gateway-exceptions", http.MethodGet, path, false, "List exceptions",
		"Returns what is bypassed and what is blocked, whatever policies say."), g.listExceptions)
	register(g, a, op("create-gateway-exception", http.MethodPost, path, true, "Make an exception",
		"New connections follow it at once; inspected ones that it is about are reset.", http.StatusConflict, http.StatusUnprocessableEntity), g.createException)
	register(g, a, op("change-gateway-exception", http.MethodPut, path+"/{id}", true, "Change an exception",
		"Puts another form of the exception in its place, at once.", http.StatusNotFound, http.StatusUnprocessableEntity), g.changeException)
	register(g, a, op("delete-gateway-exception", http.MethodDelete, path+"/{id}", true, "Delete an exception",
		"New connections do not follow it any more; those that are open go on as they are.", http.StatusNotFound), g.deleteException)
	register(g, a, op("list-gateway-categories", http.MethodGet, "/api/v1/gateway/categories", false, "List categories",
		"Returns lists of names of servers by the kind of their service, for exceptions."), g.listCategories)
}

func (g *Gateways) listExceptions(ctx context.Context, _ *nothing) (*output[api.GatewayExceptions], error) {
	r, err := g.book.Rules(ctx)
	if err != nil {
		return nil, err
	}
	out := api.GatewayExceptions{Exceptions: []api.GatewayException{}}
	for _, e := range r.Exceptions {
		out.Exceptions = append(out.Exceptions, shownException(e))
	}
	return answer(out), nil
}

func shownException(e Exception) api.GatewayException {
	out := api.GatewayException{ID: e.ID, Kind: e.Kind, Names: e.Names, Categories: e.Categories, Reason: e.Reason}
	for _, a := range e.Addresses {
		text, _ := a.MarshalText() // never fails
		out.Addresses = append(out.Addresses, string(text))
	}
	return out
}

// writtenException makes an exception of what somebody wrote. What is wrong with it beyond its addresses is found with all others.
func writtenException(in api.GatewayException) (Exception, error) {
	var problems []api.PolicyProblem
	e := Exception{policy.Exception{ID: in.ID, Names: in.Names, Categories: in.Categories, Reason: in.Reason}, in.Kind}
	e.Addresses = texts[policy.Addresses](&problems, "addresses", in.Addresses)
	for i, n := range e.Names {
		e.Names[i] = strings.ToLower(strings.TrimSpace(n))
	}
	if len(problems) > 0 {
		return e, huma.Error422UnprocessableEntity("The exception can't be like this: "+problems[0].Message+".",
			&huma.ErrorDetail{Message: problems[0].Message, Location: "body." + problems[0].Field})
	}
	return e, nil
}

func (r *Rules) exception(id string) (int, error) {
	i := slices.IndexFunc(r.Exceptions, func(e Exception) bool { return e.ID == id })
	if i < 0 {
		return i, state.ErrNotFound
	}
	return i, nil
}

func (g *Gateways) createException(ctx context.Context, in *input[api.GatewayException]) (*output[api.GatewayException], error) {
	e, err := writtenException(in.Body)
	if err != nil {
		return nil, err
	}
	_, err = g.take(ctx, &step{action: "exception.create", object: e.ID, summary: e.summary(), edit: func(r *Rules) (func(context.Context) error, error) {
		if _, err := r.exception(e.ID); err == nil {
			return nil, huma.Error409Conflict("There is an exception with this id already. Choose another id.")
		}
		r.Exceptions = append(r.Exceptions, e)
		return g.book.save(state.ExceptionRule, e.ID, e)
	}})
	return answer(shownException(e)), err
}

func (g *Gateways) changeException(ctx context.Context, in *exceptionInput) (*output[api.GatewayException], error) {
	if in.Body.ID != in.ID {
		return nil, huma.Error422UnprocessableEntity("The id of an exception stays, since events have it. Make another exception instead.", &huma.ErrorDetail{Message: "must be the id in the path", Location: "body.id"})
	}
	e, err := writtenException(in.Body)
	if err != nil {
		return nil, err
	}
	_, err = g.take(ctx, &step{action: "exception.change", object: e.ID, summary: e.summary(), edit: func(r *Rules) (func(context.Context) error, error) {
		i, err := r.exception(e.ID)
		if err != nil {
			return nil, err
		}
		r.Exceptions[i] = e
		return g.book.save(state.ExceptionRule, e.ID, e)
	}})
	return answer(shownException(e)), err
}

func (g *Gateways) deleteException(ctx context.Context, in *idInput) (*nothing, error) {
	_, err := g.take(ctx, &step{action: "exception.delete", object: in.ID, edit: func(r *Rules) (func(context.Context) error, error) {
		i, err := r.exception(in.ID)
		if err != nil {
			return nil, err
		}
		r.Exceptions = slices.Delete(r.Exceptions, i, i+1)
		return func(ctx context.Context) error { return g.book.db.DeleteGatewayRule(ctx, state.ExceptionRule, in.ID) }, nil
	}})
	return &nothing{}, err
}

// summary tells what an exception does, for the record of changes.
func (e *Exception) summary() string {
	return fmt.Sprintf("%s; names: %d, addresses: %d, categories: %s; %s", e.Kind, len(e.Names), len(e.Addresses), strings.Join(e.Categories, ", "), e.Reason)
}

func (g *Gateways) listCategories(context.Context, *nothing) (*output[api.GatewayCategories], error) {
	out := api.GatewayCategories{Categories: []api.GatewayCategory{}}
	for _, id := range categories.IDs() {
		names := categories.Names(id)
		out.Categories = append(out.Categories, api.GatewayCategory{ID: id, Names: names, Count: len(names)})
	}
	return answer(out), nil
}
