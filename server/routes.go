package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
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
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					schemeCookie: {Type: "apiKey", In: "cookie", Name: cookieName, Description: "Set by signing in. Unsafe methods need a same-origin request."},
					schemeToken:  {Type: "http", Scheme: "bearer", Description: "API token, made by vitrine token create."},
				},
			},
			Tags: []*huma.Tag{
				{Name: "session", Description: "Signing in and out"},
				{Name: "events", Description: "Searching what was seen"},
				{Name: "packets", Description: "Downloading packets"},
				{Name: "imports", Description: "Uploading captures"},
				{Name: "system", Description: "Accounts, audit trail and health"},
			},
		},
		Formats:       huma.DefaultFormats,
		DefaultFormat: "application/json",
	})
	api.UseMiddleware(s.authorize(api))
	s.registerAccounts(api)
	s.registerEvents(api)
	s.registerPackets(api)
	s.registerImports(api)
	s.registerSystem(api)
	neverNull(api.OpenAPI())
	return api
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
