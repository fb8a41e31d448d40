package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
)

type systemOutput struct{ Body api.System }

type healthOutput struct{ Body api.Health }

func (s *Server) registerSystem(a huma.API) {
	register(s, a, operation("get-system", http.MethodGet, "/api/v1/system", "system", CanSearch, "How is Vitrine doing",
		"Version, roles, store, alarms and counters."), s.getSystem)
	register(s, a, operation("health", http.MethodGet, "/healthz", "system", Public, "Is the server up",
		"For load balancers and supervisors.", http.StatusServiceUnavailable), s.health)
	register(s, a, streamed(operation("metrics", http.MethodGet, "/metrics", "system", CanSearch, "Metrics for Prometheus",
		"Every counter and gauge in the Prometheus text format."), "text/plain", "Prometheus text format"), s.metrics)
	register(s, a, streamed(operation("openapi", http.MethodGet, "/api/v1/openapi.json", "system", Public, "This document",
		"The OpenAPI 3.1 document of the API."), "application/openapi+json", "OpenAPI 3.1"), s.openAPI)
}

func (s *Server) getSystem(ctx context.Context, in *nothing) (*systemOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) health(ctx context.Context, in *nothing) (*healthOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) metrics(ctx context.Context, in *nothing) (*huma.StreamResponse, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) openAPI(ctx context.Context, in *nothing) (*huma.StreamResponse, error) {
	return nil, huma.Error501NotImplemented("")
}
