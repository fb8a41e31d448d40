package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/gateways"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
	"github.com/vitrine-ndr/vitrine/state"
	"github.com/vitrine-ndr/vitrine/store"
	"github.com/vitrine-ndr/vitrine/store/query"
)

// The names of the two ways to say who one is, as the OpenAPI document has them.
const (
	schemeCookie = "session"
	schemeToken  = "token"
)

// OpenAPI returns the document that describes the API, as JSON.
func OpenAPI() ([]byte, error) {
	api := new(Server).api(http.NewServeMux())
	b, err := json.MarshalIndent(api.OpenAPI(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write OpenAPI document: %w", err)
	}
	return append(b, '\n'), nil
}

// api registers every route on the mux.
func (s *Server) api(mux *http.ServeMux) huma.API {
	api := humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "Vitrine",
				Version: "v1",
				Description: "Events, packets, imports and state of a Vitrine server. Errors are application/problem+json (RFC 9457). " +
					"Every string that was observed on the network is hostile: show it as text only.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					schemeCookie: {Type: "apiKey", In: "cookie", Name: cookieName, Description: "Set by signing in. Unsafe methods need a same-origin request."},
					schemeToken:  {Type: "http", Scheme: "bearer", Description: "API token, made by vitrine token create."},
				},
			},
			Tags: []*huma.Tag{
				{Name: "session", Description: "Signing in and out"},
				{Name: "tokens", Description: "Letting programs in"},
				{Name: "events", Description: "Searching what was seen"},
				{Name: "packets", Description: "Downloading packets"},
				{Name: "imports", Description: "Uploading captures"},
				{Name: "probe", Description: "Seeing into processes"},
				{Name: "gateway", Description: "Looking into TLS on its way"},
				{Name: "system", Description: "Accounts, audit trail and health"},
			},
		},
		Formats:       huma.DefaultFormats,
		DefaultFormat: "application/json",
	})
	api.UseMiddleware(s.authorize(api))
	s.registerSessions(api)
	s.registerAccounts(api)
	s.registerTokens(api)
	s.registerEvents(api)
	s.registerPackets(api)
	s.registerImports(api)
	s.registerProbe(api)
	gateways.New(s.gatewaySite(), s.deps.Book, s.deps.Gateway, s.log).Register(api)
	s.registerSystem(api)
	neverNull(api.OpenAPI())
	return api
}

// schemaName names the schema of a type after the type, which is enough where its package is ours or the event's.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if t.PkgPath() == reflect.TypeFor[filter.Rules]().PkgPath() {
		return "Filter" + name
	}
	return name
}

// operation describes one route. need is the permission that a caller must have; the OpenAPI document shows it as the scope of
// the security requirement, and authorize enforces it from there: there is no second list.
func operation(id, method, path, tag string, need Permission, summary, description string, errs ...int) huma.Operation {
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Tags: []string{tag}, Summary: summary, Description: description,
		Security: []map[string][]string{{schemeCookie: {string(need)}}, {schemeToken: {string(need)}}},
		Errors:   append([]int{http.StatusUnauthorized, http.StatusForbidden}, errs...),
	}
	if need == Public {
		op.Security = []map[string][]string{{}}
		op.Errors = errs
	}
	return op
}

// gatewaySite is what the routes of the gateway need of this server.
func (s *Server) gatewaySite() gateways.Site {
	return gateways.Site{
		Operation: func(id, method, path string, changes bool, summary, description string, errs ...int) huma.Operation {
			need := CanSearch
			if changes {
				need = CanAdminister
			}
			return operation(id, method, path, "gateway", need, summary, description, errs...)
		},
		Problem: s.problem,
		Audit: func(ctx context.Context, action, target, summary string, outcome state.Outcome) error {
			return s.auditEntry(ctx, state.AuditEntry{Actor: caller(ctx).name, Action: action, Target: target, Summary: summary, Outcome: outcome})
		},
		Role: func() api.RoleOf { return s.role("gateway") },
	}
}

// streamed documents a response that is not JSON.
func streamed(op huma.Operation, mediaType, description string) huma.Operation {
	op.Responses = map[string]*huma.Response{"200": {
		Description: description,
		Content:     map[string]*huma.MediaType{mediaType: {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	return op
}

// neverNull takes null out of the types of lists: the server never sends it, and clients need not test for it.
func neverNull(doc *huma.OpenAPI) {
	for _, schema := range doc.Components.Schemas.Map() {
		for _, p := range schema.Properties {
			if p.Type == huma.TypeArray {
				p.Nullable = false
			}
		}
	}
	for _, path := range doc.Paths {
		if path.Get == nil || path.Get.Responses["200"] == nil {
			continue
		}
		for _, m := range path.Get.Responses["200"].Content {
			if m.Schema.Type == huma.TypeArray {
				m.Schema.Nullable = false
			}
		}
	}
}

// register adds a route whose handler may return any error: what is not meant for the caller is logged and hidden.
func register[I, O any](s *Server, api huma.API, op huma.Operation, h func(context.Context, *I) (*O, error)) {
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, op.OperationID, err)
		}
		return out, nil
	})
}

const (
	internalDetail    = "The server could not do this because of a fault of its own. Its log says why; try again, and report it if it stays."
	slowDetail        = "The event store was asked for too much: it had no answer in time and was stopped, since others and new events need it too. Look at a shorter period, or narrow the search down by a field such as http.host."
	unavailableDetail = "The event store does not answer now. It is restarted by itself: try again in some seconds."
)

// problem makes an answer of an error: what happened, why, and what to do. What is not meant for the caller goes to the log.
func (s *Server) problem(ctx context.Context, operation string, err error) error {
	var (
		ready  huma.StatusError
		syntax *query.Error
	)
	switch {
	case errors.As(err, &ready):
		return err
	case errors.As(err, &syntax):
		return huma.Error422UnprocessableEntity("The search can't be read: "+syntax.Message+".", &huma.ErrorDetail{
			Message: syntax.Message, Location: "query.q",
			Value: map[string]any{"start": syntax.Start, "end": syntax.End, "suggestion": syntax.Suggestion},
		})
	case errors.Is(err, state.ErrNotFound):
		return huma.Error404NotFound("There is nothing by this name or id.")
	case ctx.Err() != nil:
		return huma.NewError(http.StatusServiceUnavailable, "The request was given up before it was answered.")
	}
	s.log.Error("request failed", "operation", operation, "err", err)
	return huma.Error500InternalServerError(internalDetail)
}

// The event store's numbers of errors for what takes longer than it may, and for what is going to.
const (
	storeTimeout = 159
	storeTooSlow = 160
)

// storeProblem is for errors of the event store, which comes back by itself.
func (s *Server) storeProblem(ctx context.Context, operation string, err error) error {
	e, refused := errors.AsType[*store.Error](err)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || refused && (e.Code == storeTimeout || e.Code == storeTooSlow) {
		s.log.Warn("event store too slow", "operation", operation)
		return huma.Error504GatewayTimeout(slowDetail)
	}
	if ctx.Err() == nil {
		s.log.Warn("event store failed", "operation", operation, "err", err)
	}
	return huma.Error503ServiceUnavailable(unavailableDetail)
}

// writeProblem answers outside of the API's routes.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail}) // the client has gone
}

func noSuchRoute(w http.ResponseWriter, _ *http.Request) {
	writeProblem(w, http.StatusNotFound, "The API has no such route. /api/v1/openapi.json describes what it has.")
}
