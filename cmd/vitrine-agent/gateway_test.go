package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// command runs a program to its end.
func command(t *testing.T, name string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), testkit.Need(t, name), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// trial makes a trial authority with the program, and a configuration for the server at the address. It returns their folder.
func trial(t *testing.T, agent, server string, more string) (dir, proxy string) {
	t.Helper()
	dir, proxy = filepath.Join(t.TempDir(), "gateway"), freeAddress(t)
	if out, errs, status := command(t, agent, "gateway", "trial-ca", "--dir", dir); status != 0 || !strings.Contains(out, "not for production") {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	_, port, _ := strings.Cut(server, ":")
	text := fmt.Sprintf(`
listen: {connect: %q}
authorities: [{certificate: ca.pem, key: ca.key}]
trust: {system: false, roots: [server.pem]}
allow: [127.0.0.0/8]
rules:
  policies: [{id: trial, scopes: [{id: all, sources: [127.0.0.0/8], destinations: [127.0.0.0/8], destination_ports: [%s/%s]}]}]
%s`, proxy, port, port, more)
	if err := os.WriteFile(filepath.Join(dir, "gateway.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, proxy
}

// wwwServer runs a server that tells about TLS, and returns its address and the file of its certificate.
func wwwServer(t *testing.T) (server, cert string) {
	t.Helper()
	keys, openssl := t.TempDir(), testkit.Need(t, "openssl")
	server, cert = freeAddress(t), filepath.Join(keys, "certificate.pem")
	if out, errs, status := command(t, openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
		"-keyout", filepath.Join(keys, "key.pem"), "-out", cert); status != 0 {
		t.Fatal(out, errs)
	}
	start(t, exec.CommandContext(t.Context(), openssl, "s_server", "-www", "-quiet", "-accept", server, "-key", filepath.Join(keys, "key.pem"), "-cert", cert))
	eventually(t, "the server listens", func() bool {
		c, err := net.Dial("tcp", server)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return server, cert
}

// trialOf is trial for a server of wwwServer.
func trialOf(t *testing.T, agent, server, cert, more string) (dir, proxy string) {
	t.Helper()
	dir, proxy = trial(t, agent, server, more)
	text, err := os.ReadFile(cert)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "server.pem"), text, 0o600))
	return dir, proxy
}

// TestGatewayExports has the plaintext of a request leave the gateway in each way that there is.
func TestGatewayExports(t *testing.T) {
	agent := buildProgram(t)
	server, cert := wwwServer(t)
	overIP := freeAddress(t)
	mirror, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	defer mirror.Close()
	dir, proxy := trialOf(t, agent, server, cert, fmt.Sprintf("export: {pcap_over_ip: %q, vxlan: {to: %q, vni: 7}, keylog: keys.log}\n", overIP, mirror.LocalAddr()))
	after := filepath.Join(dir, "after.pcapng")
	r := &running{cmd: exec.Command(agent, "gateway", "--config", filepath.Join(dir, "gateway.yaml"), "-o", "json", "--pcap-after", after)}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	start(t, r.cmd)
	eventually(t, "the gateway listens", func() bool { return strings.Contains(r.stderr.String(), "clients may connect") })
	reader, err := net.Dial("tcp", overIP)
	check(t, err)
	defer reader.Close()
	eventually(t, "the reader is known", func() bool { return strings.Contains(r.stderr.String(), "plaintext is read") })
	_, port, _ := strings.Cut(server, ":")
	if _, errs, status := command(t, "curl", "-sS", "--cacert", filepath.Join(dir, "ca.pem"), "-x", "http://"+proxy, "https://localhost:"+port+"/seen"); status != 0 {
		t.Errorf("curl: status %d: %s", status, errs)
	}
	r.end(t)
	_ = reader.SetReadDeadline(time.Now().Add(20 * time.Second))
	sent, err := io.ReadAll(reader)
	check(t, err)
	file, err := os.ReadFile(after)
	check(t, err)
	for name, pcap := range map[string][]byte{"pcap-after": file, "pcap over IP": sent} {
		got := testkit.Tshark(t, pcap, "-d", "tcp.port=="+port+",http", "-Y", "http.request", "-T", "fields", "-e", "ip.dst", "-e", "tcp.dstport", "-e", "http.request.uri")
		if len(got) != 1 || got[0] != "127.0.0.1\t"+port+"\t/seen" {
			t.Errorf("%s has %q", name, got)
		}
	}
	b := make([]byte, 2000)
	_ = mirror.SetReadDeadline(time.Now().Add(20 * time.Second))
	for n := 0; !strings.Contains(string(b[:n]), "GET /seen"); {
		if n, _, err = mirror.ReadFrom(b); err != nil {
			t.Fatalf("the mirror has no request: %v", err)
		}
	}
	keys, err := os.ReadFile(filepath.Join(dir, "keys.log"))
	check(t, err)
	if n := strings.Count(string(keys), "CLIENT_TRAFFIC_SECRET_0 "); n != 2 {
		t.Errorf("the key log has the keys of %d connections", n)
	}
	for _, path := range []string{after, filepath.Join(dir, "keys.log")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if n := strings.Count(r.stderr.String(), "decrypted traffic leaves the gateway"); n != 4 {
		t.Errorf("it warns %d times: %s", n, r.stderr.String())
	}
}

// TestGatewayCommand tries the gateway as people do: a trial authority, the gateway, and curl.
func TestGatewayCommand(t *testing.T) {
	agent := buildProgram(t)
	server, cert := wwwServer(t)
	dir, proxy := trialOf(t, agent, server, cert, "")
	config := filepath.Join(dir, "gateway.yaml")

	out, errs, status := command(t, agent, "gateway", "--config", config, "--check-config")
	for _, want := range []string{"trial authority CN=Vitrine trial CA", "policy trial, scope all, enabled: 1 of the quota", "1 of 20000 used, 19999 left", "the configuration is valid"} {
		if !strings.Contains(out, want) || status != 0 {
			t.Errorf("status %d, %q is not in %s%s", status, want, out, errs)
		}
	}

	r := &running{cmd: exec.Command(agent, "gateway", "--config", config, "-o", "json", "--stats")}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	start(t, r.cmd)
	eventually(t, "the gateway listens", func() bool { return strings.Contains(r.stderr.String(), "clients may connect") })
	_, port, _ := strings.Cut(server, ":")
	page, errs, status := command(t, "curl", "-sS", "--cacert", filepath.Join(dir, "ca.pem"), "-x", "http://"+proxy, "https://localhost:"+port+"/seen")
	if status != 0 || !strings.Contains(page, "s_server") {
		t.Errorf("curl: status %d: %s", status, errs)
	}
	printed := r.end(t)
	var seen *event.Record
	for line := range strings.Lines(printed) {
		var e event.Record
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if e.Kind == event.KindHTTP {
			seen = &e
		}
	}
	if seen == nil || seen.HTTP.URL != "/seen" || seen.Vantage != event.Gateway || seen.Decryption.Source != flow.FromInspection || seen.Policy.Scope != "all" || seen.Agent == "" {
		t.Errorf("printed %s", printed)
	}
	for _, want := range []string{"this authority is for trials only", "connections, inspect         1\n"} {
		if !strings.Contains(r.stderr.String(), want) {
			t.Errorf("%q is not in %s", want, r.stderr.String())
		}
	}
}

// TestGatewayRules changes rules about requests while the gateway runs.
func TestGatewayRules(t *testing.T) {
	agent := buildProgram(t)
	server, cert := wwwServer(t)
	dir, proxy := trialOf(t, agent, server, cert, "detection: {rules: rules.d, contact: help@example.com}\n")
	rules := filepath.Join(dir, "rules.d", "rules.yaml")
	write := func(text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(rules), 0o700), os.WriteFile(rules, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(dir, "gateway.yaml")
	write("rules: [{id: watch, action: alert, urls: [localhost]}]\n")
	if out, errs, status := command(t, agent, "gateway", "--config", config, "--check-config"); status != 0 || !strings.Contains(out, "rules about requests: 1, of which 0 block") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	r := &running{cmd: exec.Command(agent, "gateway", "--config", config, "-o", "json")}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	start(t, r.cmd)
	eventually(t, "the gateway listens", func() bool { return strings.Contains(r.stderr.String(), "clients may connect") })
	_, port, _ := strings.Cut(server, ":")
	ask := func() string {
		t.Helper()
		page, errs, _ := command(t, "curl", "-sS", "--cacert", filepath.Join(dir, "ca.pem"), "-x", "http://"+proxy, "https://localhost:"+port+"/private")
		return page + errs
	}
	reload := func(log string) {
		t.Helper()
		before := strings.Count(r.stderr.String(), log)
		if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, log, func() bool { return strings.Count(r.stderr.String(), log) > before })
	}
	if page := ask(); !strings.Contains(page, "s_server") {
		t.Errorf("while it is only watched: %s", page)
	}
	write("rules: [{id: private, action: block, description: Not for you, urls: [localhost/private]}]\n")
	reload("rules changed")
	if page := ask(); !strings.Contains(page, "Reason: Not for you") || !strings.Contains(page, "Whom to ask: help@example.com") {
		t.Errorf("once it is blocked: %s", page)
	}
	write("rules: [{id: private}]\n")
	reload("rules not changed")
	if page := ask(); !strings.Contains(page, "Reason: Not for you") {
		t.Errorf("after a mistake: %s", page)
	}
	write("rules: []\n")
	if strings.Contains(r.stderr.String(), "restart") {
		t.Errorf("it wants to be started anew: %s", r.stderr.String())
	}
	add(t, config, "limits: {idle: 5m}\nhold: {open: true}\n")
	add(t, filepath.Join(dir, "server.pem"), "\n")
	reload(`"keys":"hold.open limits.idle trust.roots"`)
	write("rules: [{id: private}]\n")
	printed := r.end(t)
	for _, want := range []string{`"rule":"watch"`, `"rule":"private"`, `"action":"blocked"`} {
		if !strings.Contains(printed, want) {
			t.Errorf("%s is not in %s", want, printed)
		}
	}
	if _, errs, status := command(t, agent, "gateway", "--config", config); status != 2 || !strings.Contains(errs, "rule private: action") {
		t.Errorf("with rules that cannot be read: status %d, %s", status, errs)
	}
}

// add adds text to a file.
func add(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteString(text)
	check(t, errors.Join(err, f.Close()))
}

func TestGatewayMistakes(t *testing.T) {
	agent := buildProgram(t)
	for name, tt := range map[string]struct{ more, want string }{
		"unknown key":    {"holt: {}\n", `unknown key "holt"; did you mean "hold"?`},
		"no certificate": {"  bypass: []\n", "trust.roots: no certificate in server.pem"},
		"a bad rule":     {"  bypass: [{id: x, names: [\"*\"]}]\n", `rule "x": "*" is no name`},
		"no such limit":  {"limits: {idle: 0s}\n", "limits and hold must be more than 0"},
		"no users":       {"users: none\n", "read users: open"},
		"no rules":       {"detection: {rules: none}\n", "detection.rules: "},
		"doubt":          {"detection: {doubt: maybe}\n", `detection.doubt is "maybe", it must be block or pass`},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := trial(t, agent, "127.0.0.1:443", tt.more)
			if err := os.WriteFile(filepath.Join(dir, "server.pem"), []byte("none"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, errs, status := command(t, agent, "gateway", "--config", filepath.Join(dir, "gateway.yaml"), "--check-config")
			if status != 2 || !strings.Contains(errs, tt.want) {
				t.Errorf("status %d: %s; want %q", status, errs, tt.want)
			}
		})
	}
	for name, tt := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"no configuration": {[]string{"gateway"}, 2, "--config is needed"},
		"no such file":     {[]string{"gateway", "--config", "/does/not/exist"}, 2, "no such file"},
		"trial twice":      {[]string{"gateway", "trial-ca", "--dir", t.TempDir()}, 1, "is there already"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs, status := command(t, agent, tt.args...)
			if name == "trial twice" {
				_, errs, status = command(t, agent, tt.args...)
			}
			if status != tt.status || !strings.Contains(errs, tt.want) {
				t.Errorf("status %d: %s; want %d and %q", status, errs, tt.status, tt.want)
			}
		})
	}
}

// TestFirstGatewayConfiguration checks that what a trial begins with is valid.
func TestFirstGatewayConfiguration(t *testing.T) {
	agent, dir := buildProgram(t), filepath.Join(t.TempDir(), "new")
	command(t, agent, "gateway", "trial-ca", "--dir", dir)
	if out, errs, status := command(t, agent, "gateway", "--config", filepath.Join(dir, "gateway.yaml"), "--check-config"); status != 0 || !strings.Contains(out, "4 of 20000 used") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	for name, mode := range map[string]os.FileMode{"ca.key": 0o600, "ca.pem": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// TestDocumentedGatewayConfiguration does what docs/gateway.md says, with the configuration that it shows.
func TestDocumentedGatewayConfiguration(t *testing.T) {
	agent, dir := buildProgram(t), filepath.Join(t.TempDir(), "gateway")
	doc, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := func(first string) string {
		_, rest, ok := strings.Cut(string(doc), "```yaml\n"+first+"\n")
		if !ok {
			t.Fatalf("no %s in the documentation", first)
		}
		text, _, _ := strings.Cut(rest, "```")
		return first + "\n" + text
	}
	text, rules := shown("listen:")+shown("export:"), shown("rules:")
	command(t, agent, "gateway", "trial-ca", "--dir", dir)
	if err := os.Mkdir(filepath.Join(dir, "rules.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"gateway.yaml": []byte(text), "passphrase": []byte("correct horse\n"), "users.htpasswd": append([]byte("ann:"), hash...), "partner-root.pem": ca, "rules.d/rules.yaml": []byte(rules)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	if out, errs, status := command(t, "openssl", "pkcs8", "-topk8", "-scrypt", "-in", in("ca.key"), "-out", in("sealed.key"), "-passout", "pass:correct horse"); status != 0 {
		t.Fatal(out, errs)
	}
	out, errs, status := command(t, agent, "gateway", "--config", in("gateway.yaml"), "--check-config")
	if status != 0 || !strings.Contains(out, "policy office, scope web, enabled: 12 of the quota") || !strings.Contains(out, "1 block and 2 bypass rules") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}

// TestGatewayOutputNobodyReads has more events than a pipe holds: connections go on, and the gateway ends when it is asked to.
func TestGatewayOutputNobodyReads(t *testing.T) {
	agent, server := buildProgram(t), serveTLS(t)
	dir, proxy := trial(t, agent, server, "")
	copyTo(t, filepath.Join(dir, "ca.pem"), filepath.Join(dir, "server.pem"))
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	r := &running{cmd: exec.Command(agent, "gateway", "--config", filepath.Join(dir, "gateway.yaml"), "-o", "json")}
	r.cmd.Stdout, r.cmd.Stderr = write, &r.stderr
	start(t, r.cmd)
	eventually(t, "the gateway listens", func() bool { return strings.Contains(r.stderr.String(), "clients may connect") })
	for range 3 {
		ask := []string{"-skf", "--max-time", "20", "-x", "http://" + proxy}
		for range 100 {
			ask = append(ask, "-o", os.DevNull, "https://"+server+"/unread")
		}
		if _, errs, status := command(t, "curl", ask...); status != 0 {
			t.Fatalf("curl: status %d: %s; %s", status, errs, r.stderr.String())
		}
	}
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.cmd.Wait() }()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(r.stderr.String(), "nobody reads the output") {
			t.Errorf("it ends with %v: %s", err, r.stderr.String())
		}
	case <-time.After(15 * time.Second):
		t.Fatal("it does not end")
	}
}
