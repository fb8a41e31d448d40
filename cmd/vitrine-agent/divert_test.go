package main_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// routed is a client and an origin with a router between them, each in a network namespace. The router is where the gateway runs.
type routed struct {
	client, router, origin *testkit.Namespace
	agent, dir             string
}

// newRouted makes the three, and an origin at ports 8443, 9443 and 15443 that answers with the address that it sees.
func newRouted(t *testing.T) *routed {
	t.Helper()
	r := newNetwork(t)
	r.serve(t)
	return r
}

// newNetwork makes the three, and an authority for the gateway.
func newNetwork(t testing.TB) *routed {
	t.Helper()
	r := &routed{agent: buildAgent(t), dir: filepath.Join(t.TempDir(), "gateway")}
	ip := testkit.Need(t, "ip")
	do := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(ip, args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	name := func(part string) *testkit.Namespace {
		ns := &testkit.Namespace{Name: fmt.Sprintf("vtgw%d%s", os.Getpid(), part)}
		do("netns", "add", ns.Name)
		t.Cleanup(func() { _ = exec.Command(ip, "netns", "delete", ns.Name).Run() })
		do("-n", ns.Name, "link", "set", "lo", "up")
		return ns
	}
	r.client, r.router, r.origin = name("c"), name("r"), name("o")
	for i, end := range []*testkit.Namespace{r.client, r.origin} {
		n := i + 1
		here, there := fmt.Sprintf("vt%d", n), "eth0"
		do("link", "add", here, "netns", r.router.Name, "type", "veth", "peer", "name", there, "netns", end.Name)
		for _, a := range []struct{ router, end, all string }{
			{fmt.Sprintf("10.77.%d.1/24", n), fmt.Sprintf("10.77.%d.2/24", n), "default"}, {fmt.Sprintf("fd77:%d::1/64", n), fmt.Sprintf("fd77:%d::2/64", n), "default"},
		} {
			do("-n", r.router.Name, "addr", "add", a.router, "dev", here, "nodad")
			do("-n", end.Name, "addr", "add", a.end, "dev", there, "nodad")
		}
		do("-n", r.router.Name, "link", "set", here, "up")
		do("-n", end.Name, "link", "set", there, "up")
		do("-n", end.Name, "route", "add", "default", "via", fmt.Sprintf("10.77.%d.1", n))
		do("-n", end.Name, "-6", "route", "add", "default", "via", fmt.Sprintf("fd77:%d::1", n))
	}
	for _, key := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		if out, err := r.router.Command(t.Context(), "sh", "-c", "echo 1 > /proc/sys/net/"+key).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if out, err := exec.Command(r.agent, "gateway", "trial-ca", "--dir", r.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

func (r *routed) serve(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(r.dir, "server.pem"), filepath.Join(dir, "key.pem")
	if out, errs, status := command(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=the origin", "-addext", "subjectAltName=DNS:shop.example", "-keyout", key, "-out", cert); status != 0 {
		t.Fatal(out, errs)
	}
	conf := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log stderr crit; user root;
events { worker_connections 512; }
http {
	access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server { listen 8443 ssl; listen 9443 ssl; listen 15443 ssl; listen [::]:8443 ssl; ssl_certificate %[2]s; ssl_certificate_key %[3]s; location / { return 200 $remote_addr; } }
}
`, dir, cert, key)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := r.origin.Command(context.Background(), testkit.Need(t, "nginx"), "-p", dir, "-c", file) // it must end its worker
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	eventually(t, "the origin answers", func() bool {
		var err error
		r.origin.Do(t, func() { err = tryDial("10.77.2.2:8443") })
		return err == nil
	})
}

func tryDial(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

// start runs the gateway on the router until it listens.
func (r *routed) start(t testing.TB) *running {
	t.Helper()
	g := &running{cmd: r.router.Command(context.Background(), r.agent, "gateway", "--config", filepath.Join(r.dir, "gateway.yaml"), "-o", "json")}
	g.cmd.Stdout, g.cmd.Stderr = &g.stdout, &g.stderr
	start(t, g.cmd)
	eventually(t, "the gateway listens", func() bool { return strings.Contains(g.stderr.String(), "clients may connect") })
	return g
}

// configure writes the rules. A policy is in force or not; its scope begins at port 8000.
func (r *routed) configure(t *testing.T, disabled bool, more string) {
	t.Helper()
	r.write(t, disabled, "", more)
}

// write is configure with more of the scope, too.
func (r *routed) write(t *testing.T, disabled bool, scope, more string) {
	t.Helper()
	text := fmt.Sprintf(`
listen: {transparent: 15443}
authorities: [{certificate: ca.pem, key: ca.key}]
trust: {system: false, roots: [server.pem]}
rules:
  policies:
  - {id: all, disabled: %t, scopes: [{id: web, sources: [10.77.1.0/24, "fd77:1::/64"], destinations: [10.77.0.0/16, "fd77::/16"], destination_ports: [8000/8999]%s}]}
%s`, disabled, scope, more)
	if err := os.WriteFile(filepath.Join(r.dir, "gateway.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// kept is a connection of the client that stays open.
type kept struct {
	*tls.Conn
	in *bufio.Reader
}

func (r *routed) open(t *testing.T, address string) *kept {
	t.Helper()
	var raw net.Conn
	var err error
	r.client.Do(t, func() { raw, err = net.DialTimeout("tcp", address, 10*time.Second) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(30 * time.Second))
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: "shop.example"})
	if err := c.Handshake(); err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return &kept{c, bufio.NewReader(c)}
}

// ask returns the issuer of the certificate that the client sees, and the address that the origin sees.
func (k *kept) ask() (issuer, seen string, err error) {
	if _, err := io.WriteString(k, "GET /asked HTTP/1.1\r\nHost: shop.example\r\n\r\n"); err != nil {
		return "", "", err
	}
	resp, err := http.ReadResponse(k.in, nil)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return k.ConnectionState().PeerCertificates[0].Issuer.CommonName, string(b), err
}

// expect asks on a new connection.
func (r *routed) expect(t *testing.T, when, address string, inspected bool) *kept {
	t.Helper()
	k := r.open(t, address)
	issuer, seen, err := k.ask()
	want := "10.77.1.2"
	if strings.HasPrefix(address, "[") {
		want = "fd77:1::2"
	}
	if err != nil || seen != want || strings.Contains(issuer, "trial CA") != inspected {
		t.Errorf("%s, %s: issued by %q, the origin sees %q, %v; inspected should be %t", when, address, issuer, seen, err, inspected)
	}
	return k
}

const (
	origin4, origin6 = "10.77.2.2:8443", "[fd77:2::2]:8443"
	outside          = "10.77.2.2:9443"
	samePort         = "10.77.2.2:15443" // where the gateway listens on its own machine
)

// TestTransparentGateway switches a gateway on and off on a router, under connections that are open: those that there were stay as they
// are, new ones are inspected, without the client's or the origin's knowledge; when it ends, it leaves nothing.
func TestTransparentGateway(t *testing.T) {
	r := newRouted(t)
	r.configure(t, false, "")
	before := r.expect(t, "before", origin4, false)
	same := r.expect(t, "before, at the number of the gateway's port", samePort, false)

	g := r.start(t)
	if _, seen, err := same.ask(); err != nil || seen != "10.77.1.2" {
		t.Errorf("a connection from before, at the number of the gateway's port: %q, %v", seen, err)
	}
	r.expect(t, "on, at the number of the gateway's port", samePort, false)
	if _, seen, err := before.ask(); err != nil || seen != "10.77.1.2" {
		t.Errorf("a connection from before: %q, %v", seen, err)
	}
	first := r.expect(t, "on", origin4, true)
	r.expect(t, "on", origin6, true)
	r.expect(t, "on, outside the scope", outside, false)

	r.configure(t, true, "")
	r.reload(t, g, 1)
	if _, _, err := first.ask(); err == nil {
		t.Error("an inspected connection goes on without its policy")
	}
	r.expect(t, "disabled", origin4, false)
	r.configure(t, false, "  nonsense: 1\n")
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mistake is told", func() bool { return strings.Contains(g.stderr.String(), "rules not changed") })
	r.configure(t, false, `  bypass: [{id: partner, addresses: ["fd77:2::2"]}]`)
	r.reload(t, g, 2)
	r.expect(t, "with an exception", origin6, false)
	last := r.expect(t, "enabled again", origin4, true)

	printed := g.end(t)
	if _, _, err := last.ask(); err == nil {
		t.Error("an inspected connection goes on without the gateway")
	}
	if _, seen, err := before.ask(); err != nil || seen != "10.77.1.2" {
		t.Errorf("the connection from before: %q, %v", seen, err)
	}
	r.expect(t, "off", origin4, false)
	if n := strings.Count(printed, `"kind":"http"`); n != 3 {
		t.Errorf("%d requests were told, want 3: %s", n, printed)
	}
	r.expectNothingLeft(t)
}

// expectNothingLeft looks for what gateways add to the routing.
func (r *routed) expectNothingLeft(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"rule"}, {"-6", "rule"}, {"route", "show", "table", "all"}, {"-6", "route", "show", "table", "all"}} {
		out, err := exec.Command("ip", append([]string{"-n", r.router.Name}, args...)...).CombinedOutput()
		if err != nil || strings.Contains(string(out), "30324") || strings.Contains(string(out), "0x7674") {
			t.Errorf("it leaves, %v:\n%s", err, out)
		}
	}
}

// reload has the gateway read its rules again, for the n-th time.
func (r *routed) reload(t *testing.T, g *running, n int) {
	t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the rules are in force", func() bool { return strings.Count(g.stderr.String(), "rules changed") == n })
}

// TestKilledGatewayIsOutOfTheWay kills a gateway: its rules are there, and divert nothing. The next one takes them over, and removes
// them, whatever its own rules are.
func TestKilledGatewayIsOutOfTheWay(t *testing.T) {
	r := newRouted(t)
	r.configure(t, false, "")
	g := r.start(t)
	r.expect(t, "on", origin4, true)
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = g.cmd.Wait() // it was killed
	r.expect(t, "killed", origin4, false)
	r.expect(t, "killed", origin6, false)
	g = r.start(t)
	r.expect(t, "on again", origin4, true)
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = g.cmd.Wait() // it was killed
	r.configure(t, true, "")
	g = r.start(t)
	g.end(t)
	r.expect(t, "off", origin4, false)
	r.expectNothingLeft(t)
}

// The first bytes of datagrams: of QUIC connections that begin, of one that goes on, and of something else.
const (
	quic1  = "\xc3\x00\x00\x00\x01\x08"
	quic2  = "\xd3\x6b\x33\x43\xcf\x08"
	later  = "\x43\x00\x00\x00\x01\x08"
	noQUIC = "\xc3\x00\x01\x00\x00\x01"
)

// TestQUICIsRefused begins QUIC connections across the gateway: the client learns at once that it has to use TCP. Other datagrams pass.
func TestQUICIsRefused(t *testing.T) {
	r := newRouted(t)
	for _, address := range []string{":8443", ":9443"} {
		var c net.PacketConn
		var err error
		r.origin.Do(t, func() { c, err = net.ListenPacket("udp", address) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 100)
			for {
				n, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = c.WriteTo(b[:n], from)
			}
		}()
	}
	expect := func(when, address, datagram string, refused bool) {
		t.Helper()
		var c net.Conn
		var err error
		r.client.Do(t, func() { c, err = net.Dial("udp", address) })
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(c, datagram); err != nil {
			t.Fatal(err)
		}
		_, err = c.Read(make([]byte, 100))
		if refused != errors.Is(err, syscall.ECONNREFUSED) || !refused && err != nil {
			t.Errorf("%s, %q to %s: %v; refused should be %t", when, datagram, address, err, refused)
		}
	}
	r.configure(t, false, "")
	expect("before", origin4, quic1, false)
	g := r.start(t)
	for _, address := range []string{origin4, origin6} {
		expect("on", address, quic1, true)
		expect("on", address, quic2, true)
		expect("on", address, later, false)
		expect("on", address, noQUIC, false)
	}
	expect("outside", outside, quic1, false)
	r.configure(t, false, `  bypass: [{id: partner, addresses: [10.77.2.2]}]`)
	r.reload(t, g, 1)
	expect("with an exception", origin4, quic1, false)
	expect("with an exception of another", origin6, quic1, true)
	r.write(t, false, ", allow_quic: true", "")
	r.reload(t, g, 2)
	expect("allowed", origin4, quic1, false)
	refusing := `{id: later, sources: [10.77.1.0/24], destinations: [10.77.0.0/16], destination_ports: [8000/9999]}`
	r.write(t, false, ", allow_quic: true}, "+strings.TrimSuffix(refusing, "}"), "")
	r.reload(t, g, 3)
	expect("allowed by the first scope that fits", origin4, quic1, false)
	expect("refused by a later one", outside, quic1, true)
	g.end(t)
	expect("off", origin6, quic1, false)
}

// TestGatewayUnit has systemd check the service, and runs the gateway as the service does: as a user of no rights but the unit's capability.
func TestGatewayUnit(t *testing.T) {
	r := newRouted(t)
	unit, err := os.ReadFile("../../deploy/vitrine-gateway.service")
	check(t, err)
	dir := filepath.Dir(r.agent)
	for path := dir; path != os.TempDir(); path = filepath.Dir(path) { // another user has to get at the program
		check(t, os.Chmod(path, 0o755))
	}
	file := filepath.Join(dir, "vitrine-gateway.service")
	check(t, os.WriteFile(file, bytes.ReplaceAll(unit, []byte("/usr/bin/vitrine-agent"), []byte(r.agent)), 0o600))
	if out, errs, status := command(t, "systemd-analyze", "verify", file); status != 0 || errs != "" {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	if !bytes.Contains(unit, []byte("\nAmbientCapabilities=CAP_NET_ADMIN\nCapabilityBoundingSet=CAP_NET_ADMIN\n")) {
		t.Error("the service has other capabilities than the gateway has here")
	}
	r.configure(t, false, "")
	check(t, filepath.WalkDir(r.dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, stranger, stranger))
	}))
	for path := filepath.Dir(r.dir); path != os.TempDir(); path = filepath.Dir(path) {
		check(t, os.Chmod(path, 0o755))
	}
	id := fmt.Sprint(stranger)
	g := &running{cmd: r.router.Command(context.Background(), testkit.Need(t, "setpriv"), "--reuid", id, "--regid", id, "--clear-groups", "--inh-caps=-all,+net_admin",
		"--ambient-caps=-all,+net_admin", "--bounding-set=-all,+net_admin", "--no-new-privs", r.agent, "gateway", "--config", filepath.Join(r.dir, "gateway.yaml"), "-o", "json")}
	g.cmd.Stdout, g.cmd.Stderr = &g.stdout, &g.stderr
	start(t, g.cmd)
	eventually(t, "the gateway listens", func() bool { return strings.Contains(g.stderr.String(), "clients may connect") })
	r.expect(t, "as a service", origin4, true)
	r.expect(t, "as a service", origin6, true)
	g.end(t)
	r.expectNothingLeft(t)
}
