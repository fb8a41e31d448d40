package server

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/state"
	"github.com/vitrine-ndr/vitrine/store/blob"
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
	var id flow.ID
	if err := id.UnmarshalText([]byte(in.ID)); err != nil {
		return nil, state.ErrNotFound
	}
	from, err := s.packetsFor(ctx, in)
	if err != nil {
		return nil, err
	}
	if from == nil {
		return nil, huma.Error404NotFound("No packets are kept on this machine. Switch their recording on, or ask where the connection was seen.")
	}
	next, stop := iter.Pull2(from.Read(id))
	first, err, ok := next()
	if !ok {
		stop()
		return nil, huma.Error404NotFound("There are no packets of this connection. They are kept for a limited time and space, and are readable some moments after they were seen.")
	}
	packets := again(first, err, next)
	var keys []byte
	if in.Keys && s.deps.KeyLog != nil {
		if keys, err = s.deps.KeyLog(id, from.Read(id)); err != nil {
			stop()
			return nil, fmt.Errorf("read session keys: %w", err)
		}
	}
	if err := s.audit(ctx, caller(ctx).name, actionOf(in), in.ID, state.OK); err != nil {
		stop()
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer stop()
		_, w := raw(hc)
		hc.SetHeader("Content-Type", "application/x-pcapng")
		hc.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%s.pcapng"`, id, in.Form))
		if err := s.writePackets(&steady{w, http.NewResponseController(w)}, in.Form, packets, keys); err != nil {
			s.log.Warn("packets could not all be sent", "conn", in.ID, "err", err)
		}
	}}, nil
}

// packetsFor returns where the packets are, if the caller may have them in this form.
func (s *Server) packetsFor(ctx context.Context, in *packetsInput) (Packets, error) {
	p, need := caller(ctx), CanPackets
	switch {
	case in.Form == "after" && in.Keys:
		return nil, huma.Error422UnprocessableEntity("Packets that carry the plaintext need no keys. Leave keys out, or take form=before.")
	case in.Form == "after":
		need = CanContent
	case in.Keys:
		need = CanKeys
	}
	if !p.may(need) {
		_ = s.audit(ctx, p.name, actionOf(in), in.ID, state.Denied)
		return nil, huma.Error403Forbidden("The role " + string(p.role) + " lacks the permission " + string(need) + ". Ask an administrator for another role.")
	}
	if in.Form == "after" {
		return s.deps.After, nil
	}
	return s.deps.Before, nil
}

func actionOf(in *packetsInput) string {
	switch {
	case in.Keys:
		return "packets.download_with_keys"
	case in.Form == "after":
		return "packets.download_plaintext"
	}
	return "packets.download"
}

func (s *Server) writePackets(w io.Writer, form string, packets iter.Seq2[capture.Packet, error], keys []byte) error {
	if form == "after" {
		return blob.WriteAfter(w, packets)
	}
	return blob.WriteBefore(w, packets, keys)
}

// again puts a packet that was taken off a sequence back before the others.
func again(first capture.Packet, err error, next func() (capture.Packet, error, bool)) iter.Seq2[capture.Packet, error] {
	return func(yield func(capture.Packet, error) bool) {
		for p, err, ok := first, err, true; ok; p, err, ok = next() {
			if !yield(p, err) {
				return
			}
		}
	}
}

// steady moves the deadline on with each write: a download may take long, but not stand still.
type steady struct {
	io.Writer
	rc *http.ResponseController
}

// Write gives the client writeTimeout for these bytes.
func (s *steady) Write(b []byte) (int, error) {
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	return s.Writer.Write(b)
}
