package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

type packetsInput struct {
	ID   string `path:"id" pattern:"^[0-9a-f]{32}$" doc:"Id of the connection"`
	Form string `query:"form" enum:"before,after" default:"before" doc:"before: the packets as captured; after: synthetic packets that carry the plaintext"`
	Keys bool   `query:"keys" doc:"Put the session keys into a Decryption Secrets Block; with form=before only"`
}

func (s *Server) registerPackets(a huma.API) {
	register(s, a, streamed(operation("get-packets", http.MethodGet, "/api/v1/conns/{id}/packets", "packets", CanPackets, "Download the packets of a connection",
		"form=after needs the permission content, keys=true the permission keys. The download is recorded in the audit trail.", http.StatusNotFound, http.StatusUnprocessableEntity),
		"application/x-pcapng", "A pcapng file"), s.getPackets)
}

func (s *Server) getPackets(ctx context.Context, in *packetsInput) (*huma.StreamResponse, error) {
	return nil, huma.Error501NotImplemented("")
}
