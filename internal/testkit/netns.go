package testkit

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace with one end of a veth pair. Its loopback interface is up too.
type Namespace struct {
	Name      string
	Interface string
	IPv4      netip.Addr
	IPv6      netip.Addr
}

// pairs numbers the pairs of this process, so that names are unique.
var pairs atomic.Uint32

// VethPair makes two network namespaces that reach each other over a veth pair, and removes them at the end of the test.
// It skips the test where that is not allowed.
func VethPair(t testing.TB) (client, server *Namespace) {
	t.Helper()
	ip := Need(t, "ip")
	n := pairs.Add(1)
	client = newNamespace(t, ip, fmt.Sprintf("vt%d-%dc", os.Getpid(), n), "198.18.0.1", "2001:db8::1")
	server = newNamespace(t, ip, fmt.Sprintf("vt%d-%ds", os.Getpid(), n), "198.18.0.2", "2001:db8::2")
	run(t, ip, "link", "add", client.Interface, "netns", client.Name, "type", "veth", "peer", "name", server.Interface, "netns", server.Name)
	for _, ns := range []*Namespace{client, server} {
		run(t, ip, "-n", ns.Name, "addr", "add", ns.IPv4.String()+"/24", "dev", ns.Interface)
		run(t, ip, "-n", ns.Name, "addr", "add", ns.IPv6.String()+"/64", "dev", ns.Interface, "nodad")
		run(t, ip, "-n", ns.Name, "link", "set", ns.Interface, "up")
		run(t, ip, "-n", ns.Name, "link", "set", "lo", "up")
	}
	return client, server
}

func newNamespace(t testing.TB, ip, name, v4, v6 string) *Namespace {
	t.Helper()
	run(t, ip, "netns", "add", name)
	t.Cleanup(func() {
		if out, err := exec.Command(ip, "netns", "delete", name).CombinedOutput(); err != nil {
			t.Errorf("delete network namespace: %v: %s", err, out)
		}
	})
	return &Namespace{Name: name, Interface: "veth0", IPv4: netip.MustParseAddr(v4), IPv6: netip.MustParseAddr(v6)}
}

// run calls ip.
func run(t testing.TB, ip string, args ...string) {
	t.Helper()
	out, err := exec.Command(ip, args...).CombinedOutput()
	if err == nil {
		return
	}
	skipIfRefused(t, out)
	t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
}

// Command returns a command that will run inside the namespace; of nil, inside that of the test.
func (ns *Namespace) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	if ns == nil {
		return exec.CommandContext(ctx, program, args...)
	}
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns.Name, program}, args...)...)
}

// Do calls f on a thread that is inside the namespace: sockets that f opens belong to it for good. Goroutines that f
// starts are outside.
func (ns *Namespace) Do(t testing.TB, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread with the goroutine, so the namespace can't leak into others.
		runtime.LockOSThread()
		err := enter(ns.Name)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
}

func enter(name string) error {
	file, err := os.Open("/var/run/netns/" + name)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	return nil
}
