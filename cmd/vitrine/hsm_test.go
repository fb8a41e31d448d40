//go:build cgo

package main_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// buildWithModules builds the program as make build-hsm does, where it finds the store.
func buildWithModules(t *testing.T) string {
	t.Helper()
	path := filepath.Join(buildDir, "vitrine-hsm")
	cmd := exec.Command("go", "build", "-tags", "netgo,osusergo", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return path
}

// restart runs the site's gateway with another program.
func (s *gatewaySite) restart(t *testing.T, program string) {
	t.Helper()
	s.stop(t)
	cmd := upCommand(t, s.dir, "--gateway", "--config", s.conf)
	cmd.Path = program
	s.instance = startInstance(t, s.dir, cmd)
	s.proxy = s.status(t).Listeners[0].Address
}

func (s *gatewaySite) alarms(t *testing.T) string {
	t.Helper()
	return string(s.send(t, http.MethodGet, "/api/v1/system", "", nil))
}

// TestUpWithToken imports an authority whose key lies in a token, and starts without it.
func TestUpWithToken(t *testing.T) {
	h, program := testkit.NewSoftHSM(t), buildWithModules(t)
	h.Generate(t, "EC:prime256v1", "ca", "01")
	uri := fmt.Sprintf("pkcs11:token=%s;object=ca?module-path=%s&pin-value=%s", url.PathEscape(h.Label), h.Module, url.QueryEscape(h.PIN))
	u, err := token.Parse(token.Place(uri))
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.Open(u, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	root := testkit.SelfSigned(t, key)
	key.Close()
	s := newGatewaySite(t)
	file := filepath.Join(s.keys, "hsm.crt")
	if err := os.WriteFile(file, []byte(root), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.conf, fmt.Appendf(conf, "  pkcs11_modules: [%s]\n", h.Module), 0o600); err != nil {
		t.Fatal(err)
	}
	s.restart(t, program)
	s.steer(t, http.MethodPost, "/authorities", api.NewAuthority{Name: "hsm", PEM: root, KeyURI: uri})
	s.steer(t, http.MethodPost, "/policies", api.GatewayPolicy{ID: "office", Authority: "hsm", Disabled: new(false), Scopes: []api.GatewayScope{{
		ID: "all", Sources: []string{"127.0.0.0/8"}, Destinations: []string{"127.0.0.0/8"}, DestinationPorts: []string{"1/65535"},
	}}})
	if s.curl(t, file, "/seen") != 0 {
		t.Error("curl does not see a certificate of the authority")
	}
	h.TakeOut(t)
	s.restart(t, program)
	waitFor(t, "the alarm", func() bool { return strings.Contains(s.alarms(t), "the authority hsm cannot sign: open the token") })
	if s.curl(t, file, "/away") == 0 {
		t.Error("curl sees a certificate while the token is away")
	}
	h.PutBack(t)
	waitFor(t, "the token is used again", func() bool { return s.curl(t, file, "/back") == 0 })
	if alarms := s.alarms(t); strings.Contains(alarms, "cannot sign") {
		t.Errorf("the alarm stays: %s", alarms)
	}
	s.await(t, `vantage:gateway and reason:authority_failed`)
	s.stop(t)
}
