package main_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/server/api"
)

// gatewaySite is a vitrine up with a gateway, and servers behind it.
type gatewaySite struct {
	*instance
	proxy      string // for HTTP CONNECT
	pages      string // a server of OpenSSL that answers with a page
	echo       string // one that answers with what it hears
	origin     string // certificate of both
	keys, conf string
}

func newGatewaySite(t *testing.T) *gatewaySite {
	t.Helper()
	openssl := testkit.Need(t, "openssl")
	s := &gatewaySite{keys: t.TempDir(), pages: freePort(t)}
	s.origin, s.conf = filepath.Join(s.keys, "origin.pem"), filepath.Join(s.keys, "vitrine.yaml")
	key := filepath.Join(s.keys, "origin.key")
	certificate(t, s.origin, key)
	start(t, exec.CommandContext(t.Context(), openssl, "s_server", "-www", "-quiet", "-accept", s.pages, "-cert", s.origin, "-key", key))
	waitFor(t, "the server", func() bool {
		c, err := net.Dial("tcp", s.pages)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	s.serveEcho(t, key)
	text := "gateway:\n  listen: {connect: \"127.0.0.1:0\", socks5: \"127.0.0.1:0\"}\n  allow: [127.0.0.0/8]\n  trust: {system: false, roots: [origin.pem]}\n  export: {keylog: keys.log}\n"
	if err := os.WriteFile(s.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t, t.TempDir())
	return s
}

func (s *gatewaySite) serveEcho(t *testing.T, key string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.origin, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.echo = l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
}

func (s *gatewaySite) start(t *testing.T, dir string) {
	t.Helper()
	s.instance = startUp(t, dir, "--gateway", "--config", s.conf)
	status := s.status(t)
	if !status.Running || len(status.Listeners) != 2 {
		t.Fatalf("the gateway is %+v", status)
	}
	s.proxy = status.Listeners[0].Address
}

func (s *gatewaySite) status(t *testing.T) (out api.Gateway) {
	t.Helper()
	s.ask(t, http.MethodGet, "/api/v1/gateway", "", nil, &out)
	return out
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// steer calls the gateway's part of the API.
func (s *gatewaySite) steer(t *testing.T, method, path string, body any) []byte {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return s.send(t, method, "/api/v1/gateway"+path, "application/json", bytes.NewReader(text))
}

// curl asks the server of pages through the gateway, and returns the exit status.
func (s *gatewaySite) curl(t *testing.T, ca, path string) int {
	t.Helper()
	_, port, _ := strings.Cut(s.pages, ":")
	cmd := exec.CommandContext(t.Context(), testkit.Need(t, "curl"), "-sS", "-o", os.DevNull, "--max-time", "20", "--cacert", ca, "-x", "http://"+s.proxy,
		"--connect-to", "shop.example:"+port+":127.0.0.1:"+port, "https://shop.example:"+port+path)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	t.Logf("curl: status %d %s", cmd.ProcessState.ExitCode(), out)
	return cmd.ProcessState.ExitCode()
}

// dial connects to the server that echoes through the gateway.
func (s *gatewaySite) dial(t *testing.T, ca string) *tls.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.proxy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", s.echo, s.echo)
	answer, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("the proxy answers %v, %v", answer, err)
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	conn := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "shop.example"})
	if err := conn.Handshake(); err != nil {
		t.Fatalf("with the root in %s: %v", filepath.Base(ca), err)
	}
	return conn
}

// wantEcho checks that a connection lives.
func wantEcho(t *testing.T, c *tls.Conn) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, err := io.WriteString(c, "abc")
	b := make([]byte, 3)
	if err == nil {
		_, err = io.ReadFull(c, b)
	}
	if err != nil || string(b) != "abc" {
		t.Errorf("the connection is dead: %q, %v", b, err)
	}
}

// TestUpWithGateway steers a gateway by the API from its first policy to its last, under connections that are open meanwhile.
func TestUpWithGateway(t *testing.T) {
	s := newGatewaySite(t)
	if !strings.Contains(s.announced, "no policy is enabled, so nothing is looked into") {
		t.Errorf("announced:\n%s", s.announced)
	}
	if s.curl(t, s.origin, "/before") != 0 {
		t.Error("without a policy, curl does not see the server's own certificate")
	}
	before := s.dial(t, s.origin)

	s.steer(t, http.MethodPost, "/authorities/trial", api.NewTrial{})
	root := filepath.Join(s.keys, "trial.crt")
	if err := os.WriteFile(root, s.send(t, http.MethodGet, "/api/v1/gateway/authorities/trial/certificate?format=crt", "", nil), 0o600); err != nil {
		t.Fatal(err)
	}
	policy := api.GatewayPolicy{ID: "office", Authority: "trial", Scopes: []api.GatewayScope{{
		ID: "all", Sources: []string{"127.0.0.0/8"}, Destinations: []string{"127.0.0.0/8"}, DestinationPorts: []string{"1/65535"},
	}}}
	s.steer(t, http.MethodPost, "/policies", policy)
	if s.curl(t, root, "/disabled") == 0 {
		t.Error("a policy that is not enabled is in force")
	}
	s.steer(t, http.MethodPost, "/policies/office/enable", nil)
	if s.curl(t, root, "/seen") != 0 {
		t.Error("curl does not see our certificate")
	}
	seen := s.await(t, `vantage:gateway and http.url:"/seen"`)
	if seen.Decryption.Source != flow.FromInspection || seen.Policy.ID != "office" || seen.Policy.Scope != "all" || seen.HTTP.Status != 200 {
		t.Errorf("told %+v by %+v", seen.HTTP, seen.Policy)
	}
	if keys, err := os.ReadFile(filepath.Join(s.keys, "keys.log")); err != nil || strings.Count(string(keys), "CLIENT_TRAFFIC_SECRET_0 ") != 2 {
		t.Errorf("the key log has %q, %v", keys, err)
	}
	wantEcho(t, before)

	s.steer(t, http.MethodPut, "/rules", api.RequestRules{Text: "rules:\n- {id: nobody, action: block, urls: [shop.example/forbidden]}\n"})
	s.curl(t, root, "/forbidden")
	blocked := s.await(t, `vantage:gateway and kind:finding and finding.rule:nobody`)
	if blocked.Policy.ID != "office" {
		t.Errorf("told %+v by %+v", blocked.Finding, blocked.Policy)
	}
	s.steer(t, http.MethodPut, "/rules", api.RequestRules{})

	inspected := s.dial(t, root)
	wantEcho(t, inspected)
	s.steer(t, http.MethodPost, "/policies/office/disable", nil)
	_ = inspected.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := inspected.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("an inspected connection goes on without its policy: %v", err)
	}
	wantEcho(t, before)
	wantEcho(t, s.dial(t, s.origin))
	if status := s.status(t); status.Stats.Inspected < 2 || status.Stats.Bypassed < 1 || status.Stats.Guarded != 0 {
		t.Errorf("counted %+v", status.Stats)
	}
	s.wantGuarded(t)
	s.wantChanges(t)

	s.steer(t, http.MethodPost, "/policies/office/enable", nil)
	s.stop(t)
	s.start(t, s.dir)
	if s.curl(t, root, "/again") != 0 {
		t.Error("the policy is not in force after a restart")
	}
	s.await(t, `vantage:gateway and http.url:"/again"`)
	s.stop(t)
}

// wantGuarded has the gateway be asked for the console, which lies in what is allowed.
func (s *gatewaySite) wantGuarded(t *testing.T) {
	t.Helper()
	c, err := net.Dial("tcp", s.proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	console := strings.TrimPrefix(s.url, "https://")
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", console, console)
	if answer, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("asked for the console, the proxy answers %v, %v", answer, err)
	}
	if n := s.status(t).Stats.Guarded; n != 1 {
		t.Errorf("guarded %d", n)
	}
}

func (s *gatewaySite) wantChanges(t *testing.T) {
	t.Helper()
	var changes api.GatewayChanges
	s.ask(t, http.MethodGet, "/api/v1/gateway/changes", "", nil, &changes)
	var got []string
	for _, c := range changes.Changes {
		got = append(got, c.Action+" "+c.Object+" "+c.Outcome)
	}
	slices.Reverse(got)
	if want := []string{"authority.trial trial ok", "policy.create office ok", "policy.enable office ok", "rules.change  ok", "rules.change  ok", "policy.disable office ok"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q", got)
	}
}

// TestGatewayKeysStaySealed imports an authority whose key is known, has it sign, and looks for the key everywhere.
func TestGatewayKeysStaySealed(t *testing.T) {
	s := newGatewaySite(t)
	key, cert := filepath.Join(s.keys, "ca.key"), filepath.Join(s.keys, "ca.pem")
	out, err := exec.CommandContext(t.Context(), testkit.Need(t, "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "400",
		"-subj", "/CN=Office CA", "-keyout", key, "-out", cert).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	keyText, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	certText, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	s.steer(t, http.MethodPost, "/authorities", api.NewAuthority{Name: "office", PEM: string(certText), KeyPEM: string(keyText)})
	s.steer(t, http.MethodPost, "/policies", api.GatewayPolicy{ID: "office", Authority: "office", Disabled: new(false), Scopes: []api.GatewayScope{{
		ID: "all", Sources: []string{"127.0.0.0/8"}, Destinations: []string{"127.0.0.0/8"}, DestinationPorts: []string{"1/65535"},
	}}})
	if s.curl(t, s.origin, "/refused") == 0 {
		t.Error("curl takes our certificate without our root")
	}
	waitFor(t, "the client that lacks our root", func() bool {
		var distrust api.GatewayDistrust
		s.ask(t, http.MethodGet, "/api/v1/gateway/distrust", "", nil, &distrust)
		return len(distrust.Clients) == 1 && distrust.Clients[0].Client == "127.0.0.1" && slices.Equal(distrust.Clients[0].Names, []string{"shop.example"})
	})
	if s.curl(t, cert, "/signed") != 0 {
		t.Error("curl does not see a certificate of the imported authority")
	}
	s.stop(t)

	block, _ := pem.Decode(keyText)
	signer, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	short, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]byte{"the key": block.Bytes, "the key again": short, "its text": keyText[30:90], "its number": short[len(short)-100 : len(short)-80]}
	sealed := false
	wrote := map[string][]byte{"what it logs": s.stderr.Bytes()}
	err = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		wrote[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range wrote {
		sealed = sealed || bytes.Contains(text, []byte("BEGIN ENCRYPTED PRIVATE KEY"))
		for name, secret := range secrets {
			if bytes.Contains(text, secret) {
				t.Errorf("%s is in %s", name, path)
			}
		}
	}
	if !sealed {
		t.Error("the key is nowhere, not even sealed")
	}
}

func TestGatewayIsOffUnlessAskedFor(t *testing.T) {
	up := startUp(t, t.TempDir())
	var status api.Gateway
	up.ask(t, http.MethodGet, "/api/v1/gateway", "", nil, &status)
	if status.Running || status.Off != api.NotTurnedOn || !strings.Contains(status.WhyNot, "--gateway") || !strings.Contains(up.announced, "gateway    off: turn it on with --gateway") {
		t.Errorf("%+v; announced:\n%s", status, up.announced)
	}
	up.stop(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := runVitrine(t, nil, "up", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--gateway", "--connect", taken.Addr().String())
	if r.status != 1 || !strings.Contains(r.stderr, "--connect") {
		t.Errorf("a port in use: %+v", r)
	}
}
