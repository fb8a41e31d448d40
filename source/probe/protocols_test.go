package probe_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

var bothSides = []flow.Side{flow.ClientSide, flow.ServerSide}

// TestProtocols has programs speak what is not plain HTTP, or by other libraries.
func TestProtocols(t *testing.T) {
	id, w := newIdentity(t), watch(t, probe.Config{})
	for name, test := range map[string]func(*testing.T, *watched, identity){"websocket": webSocket, "grpc": gRPC, "git": git, "tls in tls": tlsInTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w, id)
		})
	}
}

// tlsInTLS has a Go program speak TLS to a proxy, and through it to a server. What it says to the server is told, and of what it says to
// the proxy what is not that in other words.
func tlsInTLS(t *testing.T, w *watched, id identity) {
	proxy, port := connectProxy(t, id), nginx(t, id, newSite(t))
	pid := patient(t, w, "env", "PROXY=https://"+proxy, goProgram(t, "1.26.8"), "client", fmt.Sprintf("https://127.0.0.1:%d/ok/through-a-proxy", port))
	ofClient := func(fits func(*event.HTTP) bool) func(*event.Record) bool {
		return func(r *event.Record) bool {
			return r.HTTP != nil && r.Process.PID == pid && r.HTTP.Status == 200 && fits(r.HTTP)
		}
	}
	for what, fits := range map[string]func(*event.HTTP) bool{
		"the request to the proxy":  func(h *event.HTTP) bool { return h.Method == "CONNECT" },
		"the request to the server": func(h *event.HTTP) bool { return h.URL == "/ok/through-a-proxy" },
	} {
		r := w.await(t, what, ofClient(fits))
		if fmt.Sprint(r.Server) != proxy {
			t.Errorf("%s went to %v, want %s", what, r.Server, proxy)
		}
		if all := w.all(ofClient(fits)); len(all) != 1 {
			t.Errorf("%s is told %d times", what, len(all))
		}
	}
}

// connectProxy is a proxy that speaks TLS. Its own TLS is this process's, which is not seen into.
func connectProxy(t *testing.T, id identity) (address string) {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(id.cert, id.key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { connect(client) })
		}
	})
	return l.Addr().String()
}

// connect serves one client, until it has enough.
func connect(client net.Conn) {
	defer client.Close()
	in := bufio.NewReader(client)
	request, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	server, err := net.Dial("tcp", request.Host)
	if err != nil {
		return
	}
	defer server.Close()
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n") // who reads it sees
	go func() {
		_, _ = io.Copy(client, server)
	}()
	_, _ = io.Copy(server, in)
}

// webSocket wants the messages of a conversation at both ends.
func webSocket(t *testing.T, w *watched, id identity) {
	port := freePort(t)
	serve(t, port, exec.Command("/usr/bin/python3", "testdata/websocket.py", "server", fmt.Sprint(port), id.both))
	runCommand(t, exec.Command("/usr/bin/python3", "testdata/websocket.py", "client", fmt.Sprint(port)))
	for _, side := range bothSides {
		for direction, text := range map[string]string{"to_server": "hello", "to_client": "you said hello"} {
			w.await(t, fmt.Sprintf("the message %q at the %s", text, side), func(r *event.Record) bool {
				m := r.WebSocket
				return m != nil && int(r.Server.Port) == port && r.Local == side && m.Direction == direction && string(m.Body) == text && m.URL == "/chat"
			})
		}
	}
}

// gRPC wants a call at both ends, with its message and its status, which is in a trailer.
func gRPC(t *testing.T, w *watched, id identity) {
	port := freePort(t)
	serve(t, port, exec.Command("/usr/bin/python3", "testdata/rpc.py", "server", fmt.Sprint(port), id.cert, id.key))
	runCommand(t, exec.Command("/usr/bin/python3", "testdata/rpc.py", "client", fmt.Sprint(port), id.cert))
	for _, side := range bothSides {
		r := w.await(t, fmt.Sprintf("the call at the %s", side), func(r *event.Record) bool {
			return r.HTTP != nil && int(r.Server.Port) == port && r.Local == side && r.HTTP.URL == "/chat.Chat/Say"
		})
		request, response := r.HTTP.Request, r.HTTP.Response
		if string(request.Body) != "\x00\x00\x00\x00\x05hello" || string(response.Body) != "\x00\x00\x00\x00\x0eyou said hello" {
			t.Errorf("the %s sees %q and %q", side, request.Body, response.Body)
		}
		if !slices.Contains(response.Trailers, "grpc-status: 0") || r.HTTP.State != event.Complete {
			t.Errorf("the %s sees trailers %q, %s", side, response.Trailers, r.HTTP.State)
		}
	}
}

// git fetches over the libcurl that Debian builds with GnuTLS.
func git(t *testing.T, w *watched, id identity) {
	port := nginx(t, id, newSite(t))
	cmd := exec.Command(testkit.Need(t, "git"), "ls-remote", fmt.Sprintf("https://127.0.0.1:%d/x", port))
	cmd.Env = append(os.Environ(), "GIT_SSL_NO_VERIFY=1")
	if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), "not found") { // which nginx says
		t.Fatalf("%s", out)
	}
	for _, side := range bothSides {
		r := w.await(t, "the request at the "+string(side), func(r *event.Record) bool {
			return r.HTTP != nil && int(r.Server.Port) == port && r.Local == side && strings.HasPrefix(r.HTTP.URL, "/x/info/refs")
		})
		if side == flow.ClientSide && r.Process.Name != "git-remote-http" || r.HTTP.Status != 404 {
			t.Errorf("the %s is %s, which sees %d", side, r.Process.Name, r.HTTP.Status)
		}
	}
}
