package probe_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// TestUnknownPacket has packets that are not laid out as GnuTLS's: their bytes show as a gap, and never as what is not plaintext.
func TestUnknownPacket(t *testing.T) {
	w := watch(t, probe.Config{})
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { _, _ = out.Write(make([]byte, 100)) }))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	program := filepath.Join(t.TempDir(), "packet")
	run(t, "gcc", "-O1", "-o", program, "testdata/packet.c")
	pid := patient(t, w, program, fmt.Sprint(port))
	r := w.await(t, "the request", func(r *event.Record) bool { return r.HTTP != nil && r.HTTP.URL == "/packet" })
	if r.Process.PID != pid || r.HTTP.Status != 0 || r.HTTP.Response != nil && len(r.HTTP.Response.Body) > 0 {
		t.Errorf("told is %+v", r.HTTP)
	}
	if losses := w.Stats().Losses; !slices.ContainsFunc(losses, func(l probe.Loss) bool { return l.Reason == "unknown_packet" && l.Count >= 100 }) {
		t.Errorf("the losses are %v", losses)
	}
}
