package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// blockingClient asks and waits for the answer inside of SSL_read, for its socket blocks.
const blockingClient = `
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
host, port = sys.argv[1].split(":")
with context.wrap_socket(socket.create_connection((host, int(port)))) as s:
    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
    said = b""
    while (more := s.recv(65536)):
        said += more
print(said.partition(b"\r\n\r\n")[2].decode())
`

// TestKilledAgentLeavesNothing kills the agent while a program waits inside of a call that is hooked: the kernel takes out all that the agent
// put into it, and the program goes on as if nothing had been.
func TestKilledAgentLeavesNothing(t *testing.T) {
	python := testkit.Need(t, "/usr/bin/python3")
	agent := startAgent(t, buildAgent(t))
	asked, answer := make(chan struct{}, 2), make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-answer
		_, _ = io.WriteString(w, "the answer")
	}))
	defer server.Close()
	goOn := sync.OnceFunc(func() { close(answer) })
	defer goOn() // the server waits for its handlers
	var said bytes.Buffer
	client := exec.CommandContext(t.Context(), python, "-c", blockingClient, server.Listener.Addr().String())
	client.Stdout, client.Stderr = &said, &said
	start(t, client)
	<-asked
	held := objectsOf(t, agent.cmd.Process.Pid)
	if len(held) < 3 {
		t.Fatalf("the agent has only %v in the kernel", held)
	}

	if err := agent.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	agent.ended.Wait()
	_ = agent.cmd.Wait() // it was killed
	killed := time.Now()
	for _, o := range held {
		eventually(t, fmt.Sprint(o, " is out of the kernel"), func() bool { return !o.exists(t) })
	}
	t.Logf("%d objects were out after %s", len(held), time.Since(killed).Round(time.Millisecond))
	goOn()
	if err := client.Wait(); err != nil || strings.TrimSpace(said.String()) != "the answer" {
		t.Errorf("the client: %v: %s", err, &said)
	}
	if out, err := exec.CommandContext(t.Context(), python, "-c", blockingClient, server.Listener.Addr().String()).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "the answer" {
		t.Errorf("the next client: %v: %s", err, out)
	}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// object is something in the kernel that has a number.
type object struct {
	kind string // prog, map or link
	id   uint32
}

var objectLine = regexp.MustCompile(`(?m)^(prog|map|link)_id:\s*(\d+)$`)

// objectsOf returns what a process holds. Each object is the process's own: others that watch this machine have others.
func objectsOf(t *testing.T, pid int) (objects []object) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range objectLine.FindAllSubmatch(text, -1) {
			id, err := strconv.ParseUint(string(m[2]), 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, object{string(m[1]), uint32(id)})
		}
	}
	return objects
}

func (o object) exists(t *testing.T) bool {
	t.Helper()
	var c io.Closer
	var err error
	switch o.kind {
	case "prog":
		c, err = ebpf.NewProgramFromID(ebpf.ProgramID(o.id))
	case "map":
		c, err = ebpf.NewMapFromID(ebpf.MapID(o.id))
	case "link":
		c, err = link.NewFromID(link.ID(o.id))
	}
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err != nil {
		t.Fatalf("ask for %s %d: %v", o.kind, o.id, err)
	}
	c.Close()
	return true
}
