package probe_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// TestBoringSSL watches BoringSSL's own tool, whose library is a shared one as Android has it.
func TestBoringSSL(t *testing.T) {
	id, s := newIdentity(t), newSite(t)
	port := nginx(t, id, s)
	w := watch(t, probe.Config{})
	c := testkit.RootFS(t, "trixie", "android-boringssl")
	cmd := c.Command(t.Context(), "bssl-tool", "client", "-connect", fmt.Sprint("127.0.0.1:", port))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("bssl said: %s", &said)
		}
	}()
	w.until(t, "coverage of BoringSSL", func() bool {
		for _, c := range w.coverage {
			if c.Process.PID == cmd.Process.Pid && c.State == event.Covered && c.Library == "boringssl" {
				return true
			}
		}
		return false
	})
	const path = "/ok/boringssl"
	if _, err := io.WriteString(in, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := w.await(t, path, asked(path))
	if r.Process.PID != cmd.Process.Pid || r.Container == nil || r.Container.ID != c.ID || int(r.Server.Port) != port || r.HTTP.Status != 200 {
		t.Errorf("%+v in %+v at %v, status %d", r.Process, r.Container, r.Server, r.HTTP.Status)
	}
}
