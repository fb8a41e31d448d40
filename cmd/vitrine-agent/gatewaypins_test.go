package main_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// TestPinsAreKept has a curl that trusts its server's certificate alone, and another one that shows that the machine has the gateway's root. What the
// gateway has learnt of them it still knows after it was started anew.
func TestPinsAreKept(t *testing.T) {
	agent, keys, server := buildProgram(t), t.TempDir(), freeAddress(t)
	cert, key := filepath.Join(keys, "certificate.pem"), filepath.Join(keys, "key.pem")
	if out, errs, status := command(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
		"-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert); status != 0 {
		t.Fatal(out, errs)
	}
	start(t, exec.CommandContext(t.Context(), testkit.Need(t, "openssl"), "s_server", "-www", "-quiet", "-accept", server, "-key", key, "-cert", cert))
	eventually(t, "the server listens", func() bool {
		c, err := net.Dial("tcp", server)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	dir, proxy := trial(t, agent, server, "pins: {learnt: pins.json}\n")
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "server.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(server, ":")
	curl := func(ca, host string) bool {
		page, errs, status := command(t, "curl", "-sS", "--cacert", ca, "-x", "http://"+proxy, "https://"+host+":"+port+"/")
		t.Logf("%s: status %d %s", host, status, errs)
		return status == 0 && strings.Contains(page, "s_server")
	}
	for _, want := range []bool{false, true} {
		r := &running{cmd: exec.Command(agent, "gateway", "--config", filepath.Join(dir, "gateway.yaml"), "-o", "json", "--stats")}
		r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
		start(t, r.cmd)
		eventually(t, "the gateway listens", func() bool { return strings.Contains(r.stderr.String(), "clients may connect") })
		if !want {
			if !curl(filepath.Join(dir, "ca.pem"), "127.0.0.1") {
				t.Error("who trusts the gateway is not served")
			}
			for range 2 {
				if curl(cert, "localhost") {
					t.Error("bypassed before anything was learnt")
				}
			}
		}
		if !curl(cert, "localhost") {
			t.Errorf("not bypassed though learnt; started anew: %v", want)
		}
		r.end(t)
		if !strings.Contains(r.stderr.String(), "not decrypted, pinned        1\n") {
			t.Errorf("counted %s", r.stderr.String())
		}
	}
	file := filepath.Join(dir, "pins.json")
	check(t, os.WriteFile(file, []byte("not what it was"), 0o600))
	config := filepath.Join(dir, "gateway.yaml")
	if out, _, status := command(t, agent, "gateway", "--config", config, "--check-config"); status != 0 {
		t.Errorf("the check ends with %d: %s", status, out)
	}
	r := &running{cmd: exec.Command(agent, "gateway", "--config", config)}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	start(t, r.cmd)
	eventually(t, "the gateway listens", func() bool { return strings.Contains(r.stderr.String(), "clients may connect") })
	if curl(cert, "localhost") {
		t.Error("bypassed by what cannot be read")
	}
	r.end(t)
	if aside, err := os.ReadFile(file + ".unreadable"); err != nil || string(aside) != "not what it was" || !strings.Contains(r.stderr.String(), `"level":"ERROR"`) {
		t.Errorf("moved aside was %q, %v; logged %s", aside, err, r.stderr.String())
	}
}
