package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/vitrine-ndr/vitrine/internal/telemetry"
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

func (s *Server) getSystem(ctx context.Context, _ *nothing) (*systemOutput, error) {
	out := api.System{Version: s.cfg.Version, Started: s.started, Roles: s.deps.Roles(), Alarms: s.deps.Alarms(), Counters: []api.Counter{}}
	if h, err := s.deps.Events.Health(ctx); err != nil {
		s.log.Warn("event store failed", "operation", "get-system", "err", err)
		out.Store.Error = unavailableDetail
	} else {
		out.Store = api.Store{OK: true, Events: h.Events, Bytes: h.Bytes}
		if !h.Oldest.IsZero() {
			out.Store.Oldest = &h.Oldest
		}
	}
	values, err := telemetry.Values(s.deps.Metrics)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		out.Counters = append(out.Counters, api.Counter(v))
	}
	return &systemOutput{out}, nil
}

func (s *Server) health(context.Context, *nothing) (*healthOutput, error) {
	return &healthOutput{api.Health{Status: "ok"}}, nil
}

func (s *Server) metrics(context.Context, *nothing) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := raw(hc)
		promhttp.HandlerFor(s.deps.Metrics, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}).ServeHTTP(w, r)
	}}, nil
}

func (s *Server) openAPI(context.Context, *nothing) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/openapi+json")
		_, _ = hc.BodyWriter().Write(s.document) // the client has gone
	}}, nil
}

// losses sums up what this process has not seen or not kept, from the counters that are named for it.
func (s *Server) losses() (map[string]uint64, error) {
	values, err := telemetry.Values(s.deps.Metrics)
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for _, v := range values {
		name, lost := strings.CutSuffix(strings.TrimPrefix(v.Name, "vitrine_"), "_total")
		if !lost || !strings.Contains(name, "dropped") && !strings.Contains(name, "gap") && !strings.Contains(name, "lost") || v.Value <= 0 {
			continue
		}
		if reason := v.Labels["reason"]; reason != "" {
			name += "_" + reason
		}
		out[name] += uint64(v.Value)
	}
	return out, nil
}
