package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
)

type importsOutput struct{ Body api.Imports }

type importInput struct {
	ID string `path:"id" pattern:"^[0-9a-f]{32}$" doc:"Id of the import"`
}

type importOutput struct{ Body api.Import }

type acceptedOutput struct{ Body api.Accepted }

// uploadInput keeps the request, whose parts are written to disk as they come: an upload never is in memory as a whole.
type uploadInput struct{ ctx huma.Context }

func (in *uploadInput) Resolve(ctx huma.Context) []error {
	in.ctx = ctx
	return nil
}

func (s *Server) registerImports(a huma.API) {
	upload := operation("create-import", http.MethodPost, "/api/v1/imports", "imports", CanImport, "Upload captures and key logs",
		"Stores the files and reads the captures in the background, one import at a time. Captures may be pcap or pcapng, plain or compressed with gzip or zstd.",
		http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusInsufficientStorage)
	upload.DefaultStatus = http.StatusAccepted
	register(s, a, upload, s.createImport)
	a.OpenAPI().Paths["/api/v1/imports"].Post.RequestBody = &huma.RequestBody{
		Required: true,
		Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{
			Type: huma.TypeObject, Required: []string{"capture"},
			Properties: map[string]*huma.Schema{
				"capture": {Type: huma.TypeArray, Description: "Captures", Items: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
				"keylog":  {Type: huma.TypeArray, Description: "Key logs (RFC 9850)", Items: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
			},
		}}},
	}
	register(s, a, operation("list-imports", http.MethodGet, "/api/v1/imports", "imports", CanImport, "List imports",
		"Returns imports with their progress, the newest first."), s.listImports)
	register(s, a, operation("get-import", http.MethodGet, "/api/v1/imports/{id}", "imports", CanImport, "Read one import",
		"Returns the import with its progress.", http.StatusNotFound), s.getImport)
	register(s, a, operation("cancel-import", http.MethodDelete, "/api/v1/imports/{id}", "imports", CanImport, "Cancel an import",
		"Stops the import; events that it has found stay. Cancelling one that has ended changes nothing.", http.StatusNotFound), s.cancelImport)
}

func (s *Server) createImport(ctx context.Context, in *uploadInput) (*acceptedOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) listImports(ctx context.Context, in *nothing) (*importsOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) getImport(ctx context.Context, in *importInput) (*importOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) cancelImport(ctx context.Context, in *importInput) (*nothing, error) {
	return nil, huma.Error501NotImplemented("")
}
