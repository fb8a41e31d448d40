// Package server answers the console, the command line and scripts over HTTPS. Searches, uploads and sign-ins come in; events,
// packets and the console's files go out. It knows no packets, protocols or SQL: what it needs of the other packages is in Deps.
package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Server is the HTTP API and the console.
type Server struct{}

// cookieName carries the session. The prefix makes browsers insist on Secure, Path=/ and no Domain.
const cookieName = "__Host-vitrine"

func (s *Server) authorize(a huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		_ = huma.WriteErr(a, ctx, http.StatusNotImplemented, "")
	}
}

func (s *Server) problem(ctx context.Context, op string, err error) error { return err }
