package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/imports"
	"github.com/vitrine-ndr/vitrine/state"
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

		http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage)
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
	if s.deps.Replay == nil {
		return nil, huma.Error503ServiceUnavailable("This machine does not read captures. Upload to one whose sensor is on.")
	}
	r, w := raw(in.ctx)
	rc := http.NewResponseController(w)
	r.Body = &patient{r.Body, rc}
	_ = rc.SetWriteDeadline(time.Time{}) // the answer comes when the upload is done, however long that takes
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("The upload is no form with files. Send it as multipart/form-data with parts named capture and keylog.")
	}
	p := caller(ctx)
	id, err := s.imports.Add(ctx, p.name, parts)
	if err != nil {
		_ = s.audit(ctx, p.name, "import.create", "", state.FailedToDo)
		return nil, uploadProblem(err)
	}
	return &acceptedOutput{api.Accepted{ID: id}}, s.audit(ctx, p.name, "import.create", id, state.OK)
}

// patient moves the deadline on whenever something arrives: an upload may take hours, but not stand still.
type patient struct {
	io.ReadCloser
	rc *http.ResponseController
}

// Read gives the client readTimeout for the next bytes.
func (p *patient) Read(b []byte) (int, error) {
	_ = p.rc.SetReadDeadline(time.Now().Add(readTimeout))
	return p.ReadCloser.Read(b)
}

func uploadProblem(err error) error {
	switch {
	case errors.Is(err, imports.ErrTooLarge):
		return huma.NewError(http.StatusRequestEntityTooLarge, "The upload was not taken: "+err.Error()+". Split the capture, for instance with editcap.")
	case errors.Is(err, imports.ErrNoSpace):
		return huma.NewError(http.StatusInsufficientStorage, "The upload was not taken: "+err.Error()+". Make room in the data folder.")
	case errors.Is(err, imports.ErrQueueFull):
		return huma.Error429TooManyRequests("The upload was not taken: " + err.Error() + ". Try again when some have ended.")
	case errors.Is(err, imports.ErrUpload):
		return huma.Error422UnprocessableEntity("The upload was not taken: " + err.Error() + ".")
	}
	return err
}

func (s *Server) listImports(ctx context.Context, _ *nothing) (*importsOutput, error) {
	all, err := s.imports.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &importsOutput{api.Imports{Imports: []api.Import{}}}
	for _, i := range all {
		out.Body.Imports = append(out.Body.Imports, importOf(i))
	}
	return out, nil
}

func (s *Server) getImport(ctx context.Context, in *importInput) (*importOutput, error) {
	i, err := s.imports.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &importOutput{importOf(i)}, nil
}

func (s *Server) cancelImport(ctx context.Context, in *importInput) (*nothing, error) {
	if err := s.imports.Cancel(ctx, in.ID); err != nil {
		return nil, err
	}
	return &nothing{}, s.audit(ctx, caller(ctx).name, "import.cancel", in.ID, state.OK)
}

func importOf(i state.Import) api.Import {
	out := api.Import{
		ID: i.ID, Name: i.Name, State: string(i.State), BytesDone: i.BytesDone, BytesTotal: i.BytesTotal,
		Packets: i.Packets, Events: i.Events, Connections: i.Connections, Decrypted: i.Decrypted, Error: i.Error, Started: i.Started,
	}
	if !i.Finished.IsZero() {
		out.Finished = &i.Finished
	}
	return out
}
