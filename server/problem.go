package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/state"
	"github.com/vitrine-ndr/vitrine/store/query"
)

const (
	internalDetail    = "The server could not do this because of a fault of its own. Its log says why; try again, and report it if it stays."
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

// storeProblem is for errors of the event store, which comes back by itself.
func (s *Server) storeProblem(ctx context.Context, operation string, err error) error {
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
