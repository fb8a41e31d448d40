//go:build cgo

package main_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// hsmGateway is a folder with the configuration of a gateway whose authority has its key in a token.
type hsmGateway struct {
	*testkit.SoftHSM
	dir, proxy string
	key        string // URI
}

// newHSMGateway makes a token with a key, its certificate, and a configuration for servers with a certificate each.
func newHSMGateway(t *testing.T, kind string, certificates ...string) *hsmGateway {
	t.Helper()
	g := &hsmGateway{SoftHSM: testkit.NewSoftHSM(t), dir: t.TempDir(), proxy: freeAddress(t)}
	g.Generate(t, kind, "ca", "01")
	g.key = fmt.Sprintf("pkcs11:token=%s;object=ca?module-path=%s&pin-source=ca.pin", url.PathEscape(g.Label), g.Module)
	g.write(t, "ca.pin", g.PIN+"\n")
	g.write(t, "ca.pem", selfSigned(t, token.Place(g.key), g.PIN))
	for i, file := range certificates {
		text, err := os.ReadFile(file)
		check(t, err)
		g.write(t, fmt.Sprintf("server-%d.pem", i), string(text))
	}
	g.configure(t, g.key)
	return g
}

func (g *hsmGateway) write(t *testing.T, name, text string) {
	t.Helper()
	check(t, os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600))
}

func (g *hsmGateway) configure(t *testing.T, key string) {
	t.Helper()
	g.write(t, "gateway.yaml", fmt.Sprintf(`
listen: {connect: %q}
authorities: [{certificate: ca.pem, key: %q}]
trust: {system: false, roots: [server-0.pem, server-1.pem]}
allow: [127.0.0.0/8]
rules:
  policies: [{id: hsm, scopes: [{id: all, sources: [127.0.0.0/8], destinations: [127.0.0.0/8], destination_ports: [0/65535]}]}]
`, g.proxy, key))
}

// selfSigned makes the certificate of an authority with a key in a token.
func selfSigned(t *testing.T, key token.Place, pin string) string {
	t.Helper()
	u, err := token.Parse(key)
	check(t, err)
	k, err := token.Open(u, func(string) ([]byte, error) { return []byte(pin), nil })
	check(t, err)
	defer k.Close()
	return testkit.SelfSigned(t, k)
}

// buildWithModules builds the program as make build-hsm does.
func buildWithModules(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vitrine-agent-hsm")
	cmd := exec.Command("go", "build", "-tags", "netgo,osusergo", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return path
}

// curl asks a server through the gateway, and returns the status with which curl ends.
func (g *hsmGateway) curl(t *testing.T, server string) int {
	t.Helper()
	_, port, _ := strings.Cut(server, ":")
	_, errs, status := command(t, "curl", "-sS", "--cacert", filepath.Join(g.dir, "ca.pem"), "-x", "http://"+g.proxy, "https://localhost:"+port+"/seen")
	t.Logf("curl: status %d: %s", status, errs)
	return status
}

// TestGatewayWithToken has the gateway's authority keep its key in a token, which is taken out and put back meanwhile.
func TestGatewayWithToken(t *testing.T) {
	agent := buildWithModules(t)
	first, firstCert := wwwServer(t)
	second, secondCert := wwwServer(t)
	for _, kind := range []string{"EC:prime256v1", "rsa:2048"} {
		t.Run(kind, func(t *testing.T) {
			g := newHSMGateway(t, kind, firstCert, secondCert)
			r := &running{cmd: exec.Command(agent, "gateway", "--config", filepath.Join(g.dir, "gateway.yaml"), "-o", "json")}
			r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
			start(t, r.cmd)
			eventually(t, "the gateway listens", func() bool { return strings.Contains(r.stderr.String(), "clients may connect") })
			if g.curl(t, first) != 0 {
				t.Error("a server is not reached")
			}
			g.TakeOut(t)
			if g.curl(t, second) == 0 {
				t.Error("a server is reached without the token")
			}
			if g.curl(t, first) != 0 {
				t.Error("a server whose certificate is made already is not reached")
			}
			g.PutBack(t)
			eventually(t, "the token is used again", func() bool { return g.curl(t, second) == 0 })
			r.end(t)
			said := r.stdout.String() + r.stderr.String()
			for _, want := range []string{`"reason":"authority_failed"`, "an authority cannot sign", "open the token of pkcs11:token=vitrine+test;object=ca", "an authority signs again"} {
				if !strings.Contains(said, want) {
					t.Errorf("want %q in %s", want, said)
				}
			}
			if strings.Contains(said, g.PIN) {
				t.Error("the PIN shows")
			}
		})
	}
}

// TestTokensOfGatewayAreChecked has a gateway not start with a token that it could not use.
func TestTokensOfGatewayAreChecked(t *testing.T) {
	agent := buildWithModules(t)
	_, cert := wwwServer(t)
	g := newHSMGateway(t, "EC:prime256v1", cert, cert)
	g.Generate(t, "EC:prime256v1", "other", "02")
	withPIN := strings.Replace(g.key, "pin-source=ca.pin", "pin-value=", 1)
	check(t, os.WriteFile(filepath.Join(g.dir, "open.pin"), []byte(g.PIN), 0o644))
	for _, tt := range []struct {
		name, program, key, want string
		status                   int // 1 if another try may do, 2 if a person has to
	}{
		{"right", agent, withPIN + url.QueryEscape(g.PIN), "", 0},
		{"wrong PIN", agent, withPIN + "4711xyz", "the token refuses the PIN (pkcs11: 0xA0: CKR_PIN_INCORRECT)", 2},
		{"no token", agent, strings.Replace(g.key, "vitrine", "other", 1), "could not find PKCS#11 token", 1},
		{"another key", agent, strings.Replace(g.key, "object=ca", "object=other", 1), "the key belongs to none of the certificates", 2},
		{"PIN for all to read", agent, strings.Replace(g.key, "ca.pin", "open.pin", 1), "can be read by others (mode 0644): chmod 600 it", 2},
		{"mistaken scheme", agent, "pkcs12" + strings.TrimPrefix(withPIN, "pkcs11") + "4711xyz", "it must begin with \"pkcs11:\"", 2},
		{"no cgo", buildProgram(t), g.key, "built without cgo", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.configure(t, tt.key)
			out, errs, status := command(t, tt.program, "gateway", "--config", filepath.Join(g.dir, "gateway.yaml"), "--check-config")
			if status != tt.status || !strings.Contains(errs, tt.want) {
				t.Errorf("status %d: %s%s", status, out, errs)
			}
			if strings.Contains(out+errs, "4711xyz") || strings.Contains(out+errs, g.PIN) {
				t.Errorf("the PIN shows: %s%s", out, errs)
			}
		})
	}
}
