package listen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Now()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCertificateIsMadeOnceAndKeptPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.pem")
	first, err := OpenCertificate(path, []string{"box.example", "192.0.2.7"}, now)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	leaf := first.get().Leaf
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "box.example", "192.0.2.7"} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if leaf.PublicKeyAlgorithm != x509.ECDSA || leaf.IsCA {
		t.Errorf("got %v, CA %v", leaf.PublicKeyAlgorithm, leaf.IsCA)
	}
	second, err := OpenCertificate(path, []string{"box.example"}, now)
	must(t, err)
	if first.Fingerprint() != second.Fingerprint() || len(first.Fingerprint()) != 64 {
		t.Errorf("%s, then %s", first.Fingerprint(), second.Fingerprint())
	}
}

func TestCertificateIsRenewed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.pem")
	c, err := OpenCertificate(path, nil, now)
	must(t, err)
	old := c.Fingerprint()
	must(t, c.Renew(now.Add(validity-renewBefore-time.Hour)))
	if c.Fingerprint() != old {
		t.Error("renewed too early")
	}
	must(t, c.Renew(now.Add(validity-renewBefore+time.Hour)))
	if c.Fingerprint() == old {
		t.Error("not renewed before its end")
	}
	renewed := c.Fingerprint()
	if c, err = OpenCertificate(path, []string{"new.example"}, now.Add(validity)); err != nil || c.Fingerprint() == renewed {
		t.Errorf("a new name: %v", err)
	}
	must(t, os.WriteFile(path, []byte("damaged"), 0o600))
	if _, err := OpenCertificate(path, nil, now); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestServe(t *testing.T) {
	c, err := OpenCertificate(filepath.Join(t.TempDir(), "console.pem"), nil, now)
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	begun := make(chan struct{})
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			time.Sleep(300 * time.Millisecond)
		}
		_, _ = io.WriteString(w, r.Proto)
	})}
	go func() { done <- Serve(ctx, ln, c, srv, 5*time.Second, slog.New(slog.DiscardHandler)) }()

	roots := x509.NewCertPool()
	roots.AddCert(c.get().Leaf)
	client := func(max uint16) *http.Client {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: max}, ForceAttemptHTTP2: true}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	get := func(c *http.Client, path string) (string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+ln.Addr().String()+path, nil)
		must(t, err)
		res, err := c.Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return string(b), err
	}
	if got, err := get(client(tls.VersionTLS13), "/"); got != "HTTP/2.0" || err != nil {
		t.Errorf("TLS 1.3: %q, %v", got, err)
	}
	if _, err := get(client(tls.VersionTLS11), "/"); err == nil {
		t.Error("TLS 1.1 is spoken")
	}

	// A request that is under way is answered although the server stops.
	answered := make(chan error)
	go func() {
		got, err := get(client(tls.VersionTLS12), "/slow")
		if err == nil && got == "" {
			err = errors.New("empty answer")
		}
		answered <- err
	}()
	<-begun
	stop()
	must(t, <-answered)
	must(t, <-done)
	if _, err := get(client(tls.VersionTLS13), "/"); err == nil {
		t.Error("it still answers")
	}
}
