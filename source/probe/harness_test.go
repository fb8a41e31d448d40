package probe_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// patience is how long a test waits for what must come, on a machine however busy.
const patience = 2 * time.Minute

// watched is a probe that runs, and what it tells.
type watched struct {
	*probe.Probe
	mu       sync.Mutex
	records  []*event.Record
	coverage []probe.Coverage
	changed  chan struct{} // closed and made anew with each record
}

// watch runs a probe until the test ends.
func watch(t testing.TB, cfg probe.Config) *watched {
	t.Helper()
	if os.Geteuid() != 0 {
		testkit.Skip(t, "seeing into programs needs root")
	}
	w := &watched{changed: make(chan struct{})}
	cfg.Coverage = func(c *probe.Coverage) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.coverage = append(w.coverage, *c)
		w.wake()
	}
	ready := make(chan struct{})
	cfg.Ready = func() { close(ready) }
	p, err := probe.New(cfg, testkit.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	w.Probe = p
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, inspector(w.add)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("the probe does not get ready")
	}
	return w
}

func inspector(emit func(*event.Record)) *inspect.Inspector {
	return inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Time: inspect.DefaultTime,
		Origin: event.Origin{Vantage: event.Probe}, Emit: func(e *event.Event) { emit(e.Record()) },
	})
}

func (w *watched) add(r *event.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, r)
	w.wake()
}

// wake tells those who wait. Valid iff mu is held.
func (w *watched) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// await returns the first record that fits, once it is there.
func (w *watched) await(t testing.TB, what string, fits func(*event.Record) bool) *event.Record {
	t.Helper()
	var found *event.Record
	w.until(t, what, func() bool {
		for _, r := range w.records {
			if fits(r) {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

// all returns the records that fit.
func (w *watched) all(fits func(*event.Record) bool) (found []*event.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.records {
		if fits(r) {
			found = append(found, r)
		}
	}
	return found
}

// until waits until the condition holds, which is asked for after each change, with mu held.
func (w *watched) until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		ok, changed := holds(), w.changed
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%s was not told, but %s; losses %v", what, w.told(), w.Stats().Losses)
		}
	}
}

// sees waits until the probe sees into the process.
func (w *watched) sees(t testing.TB, pid int) {
	t.Helper()
	w.until(t, fmt.Sprintf("the coverage of process %d", pid), func() bool {
		return slices.ContainsFunc(w.coverage, func(c probe.Coverage) bool { return c.Process.PID == pid && c.State == event.Covered })
	})
}

// told lists the last requests that were told.
func (w *watched) told() string {
	var b strings.Builder
	requests := w.all(func(r *event.Record) bool { return r.HTTP != nil })
	for _, r := range requests[max(0, len(requests)-50):] {
		fmt.Fprintf(&b, "\n%s %d %s: %v to %v, %s, %d", r.Local, r.Process.PID, r.Process.Name, r.Client, r.Server, r.HTTP.URL, r.HTTP.Status)
	}
	return b.String()
}

// run runs a program to its end and returns its output and its process id.
func run(t testing.TB, name string, args ...string) (output string, pid int) {
	t.Helper()
	return runCommand(t, exec.Command(testkit.Need(t, name), args...))
}

// runCommand is run for any command. It calls what is to be done while the program runs.
func runCommand(t testing.TB, cmd *exec.Cmd, meanwhile ...func()) (output string, pid int) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // its children may keep the pipe
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return "", 0
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	for _, do := range meanwhile {
		do()
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", cmd, err, out.Bytes())
	}
	return out.String(), cmd.Process.Pid
}

// serve starts a server that ends with the test, and waits until it listens on the port.
func serve(t testing.TB, port int, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // its children may keep the pipe
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM // when the tests are killed; with it, servers end their own processes too
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the signal is sent at the end of the thread that started it
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if started <- err; err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			return cmd
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", cmd, out.Bytes())
		default:
		}
	}
	t.Fatalf("%s does not listen", cmd)
	return nil
}

// freePort returns a port that nothing listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// identity is a certificate for localhost and its key, in files.
type identity struct{ cert, key, both string }

func newIdentity(t testing.TB) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	dir := t.TempDir()
	id := identity{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "both.pem")}
	write(t, id.cert, cert)
	write(t, id.key, secret)
	write(t, id.both, append(cert, secret...))
	return id
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
