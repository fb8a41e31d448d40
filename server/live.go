package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
)

type liveInput struct{ Search }

func (s *Server) liveEvents(ctx context.Context, in *liveInput) (*huma.StreamResponse, error) {
	return nil, huma.Error501NotImplemented("")
}
