package probe_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/probe"
	"github.com/vitrine-ndr/vitrine/source/probe/process"
)

// TestPrograms has real clients talk to real servers, and looks at both: each request is told once at either end.
func TestPrograms(t *testing.T) {
	id, s := newIdentity(t), newSite(t)
	w := watch(t, probe.Config{})
	port := nginx(t, id, s)
	for name, client := range clients(w, id) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "/ok/" + strings.ReplaceAll(name, " ", "-")
			checkBoth(t, w, path, port, "nginx", client(t, port, path))
		})
	}
	all := servers(t, w, id, s, port)
	t.Run("nss with nss", func(t *testing.T) {
		t.Parallel()
		path, server := "/fine", all["nss server"] // which repeats what it is asked
		checkBoth(t, w, path, server.port, server.name, clients(w, id)["nss"](t, server.port, path))
	})
	for name, server := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "/small"
			pid := curl(t, server.port, path, "--http1.1")
			checkBoth(t, w, path, server.port, server.name, pid)
		})
	}
}

// client asks for a path and returns its process id.
type client func(t testing.TB, port int, path string) (pid int)

func curl(t testing.TB, port int, path string, args ...string) int {
	t.Helper()
	_, pid := run(t, "curl", append(args, "-skf", "-o", "/dev/null", fmt.Sprintf("https://127.0.0.1:%d%s", port, path))...)
	return pid
}

func clients(w *watched, id identity) map[string]client {
	get := "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
	m := map[string]client{
		"curl":         func(t testing.TB, port int, path string) int { return curl(t, port, path) },
		"curl http1":   func(t testing.TB, port int, path string) int { return curl(t, port, path, "--http1.1") },
		"curl tls 1.2": func(t testing.TB, port int, path string) int { return curl(t, port, path, "--tls-max", "1.2") },
		"curl ipv6": func(t testing.TB, port int, path string) int {
			_, pid := run(t, "curl", "-skf", fmt.Sprintf("https://[::1]:%d%s", port, path))
			return pid
		},
		"wget": func(t testing.TB, port int, path string) int {
			_, pid := run(t, "wget", "-q", "-O", "/dev/null", "--no-check-certificate", fmt.Sprintf("https://127.0.0.1:%d%s", port, path))
			return pid
		},
		"openssl": func(t testing.TB, port int, path string) int {
			return pipe(t, fmt.Sprintf(get, path), "fine", "openssl", "s_client", "-quiet", "-connect", fmt.Sprint("127.0.0.1:", port))
		},
		"gnutls": func(t testing.TB, port int, path string) int {
			return pipe(t, fmt.Sprintf(get, path), "fine", "gnutls-cli", "--insecure", "-p", fmt.Sprint(port), "127.0.0.1")
		},
		"nss": func(t testing.TB, port int, path string) int {
			return pipe(t, fmt.Sprintf(get, path), "fine", "tstclnt", "-o", "-h", "127.0.0.1", "-p", fmt.Sprint(port), "-d", "sql:"+nssDatabase(t, id), "-V", "tls1.2:")
		},
		"python requests": python(`import requests, sys, urllib3; urllib3.disable_warnings(); requests.get(sys.argv[1], verify=False)`),
		"python asyncio": python(`import asyncio, ssl, sys, urllib.parse
async def main():
    url = urllib.parse.urlparse(sys.argv[1]); context = ssl._create_unverified_context()
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    writer.write(f"GET {url.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    await reader.read(); writer.close()
asyncio.run(main())`),
		"node": func(t testing.TB, port int, path string) int {
			return patient(t, w, "node", "testdata/move.js", fmt.Sprintf("https://127.0.0.1:%d%s", port, path))
		},
	}
	for _, release := range []string{"1.18.10", "1.22.12", "1.26.8"} {
		m["go "+release] = func(t testing.TB, port int, path string) int {
			return patient(t, w, goProgram(t, release), "client", fmt.Sprintf("https://127.0.0.1:%d%s", port, path))
		}
	}
	return m
}

// python runs a script with Debian's Python, whose argument is the URL.
func python(script string) client {
	return func(t testing.TB, port int, path string) int {
		_, pid := runCommand(t, exec.Command("/usr/bin/python3", "-c", script, fmt.Sprintf("https://127.0.0.1:%d%s", port, path)))
		return pid
	}
}

type server struct {
	name string // of its command
	port int
}

// servers starts one of each kind.
func servers(t testing.TB, w *watched, id identity, s site, nginx int) map[string]server {
	t.Helper()
	m := map[string]server{
		"apache":         {"apache2", apache(t, id, s)},
		"haproxy":        {"haproxy", haproxy(t, id, nginx)},
		"openssl server": {"openssl", opensslServer(t, id, s)},
		"gnutls server":  {"gnutls-serv", gnutlsServer(t, id)},
		"nss server":     {"selfserv", nssServer(t, id)},
	}
	for _, release := range []string{"1.19.13", "1.26.8"} {
		program := goProgram(t, release)
		m["go server "+release] = server{filepath.Base(program)[:15], goServer(t, w, program, id, s)}
	}
	return m
}

// checkBoth wants the request at the client and at the server: the right process, and the same connection.
func checkBoth(t *testing.T, w *watched, path string, port int, name string, pid int) {
	t.Helper()
	is := func(side flow.Side) func(r *event.Record) bool {
		return func(r *event.Record) bool {
			return r.HTTP != nil && r.HTTP.URL == path && r.Local == side && int(r.Server.Port) == port && r.HTTP.Status == 200
		}
	}
	atClient := w.await(t, "the request of the client", func(r *event.Record) bool { return is(flow.ClientSide)(r) && r.Process.PID == pid })
	atServer := w.await(t, "the request at the server", is(flow.ServerSide))
	if atClient.CommunityID != atServer.CommunityID || atClient.Client != atServer.Client || !atClient.Server.IP.IsLoopback() {
		t.Errorf("the client sees %v to %v, the server %v to %v", atClient.Client, atClient.Server, atServer.Client, atServer.Server)
	}
	if atServer.Process.Name != name {
		t.Errorf("the server is %q, want %q", atServer.Process.Name, name)
	}
	for _, side := range []flow.Side{flow.ClientSide, flow.ServerSide} {
		if all := w.all(is(side)); len(all) != 1 {
			t.Errorf("the %s's request is told %d times", side, len(all))
		}
	}
	for _, r := range []*event.Record{atClient, atServer} {
		if r.Decryption != (flow.Decryption{State: flow.DecryptedYes, Source: flow.FromProbe}) {
			t.Errorf("decryption is %v", r.Decryption)
		}
		if p := r.Process; p.Name == "" || p.UID != os.Getuid() {
			t.Errorf("process is %+v", p)
		}
	}
	checkFacts(t, atServer) // the client may have ended before anybody could look
}

// checkFacts wants to know all of a process that a test has started.
func checkFacts(t *testing.T, r *event.Record) {
	t.Helper()
	p := r.Process
	if p.Exe == "" || p.CommandLine == "" || p.Start.IsZero() || time.Since(p.Start) > time.Hour {
		t.Errorf("process is %+v", p)
	}
	self, err := process.New("/proc").Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(self.Container, r.Container); diff != "" {
		t.Errorf("the test and what it starts are not in one container (-test +started)\n%s", diff)
	}
}
