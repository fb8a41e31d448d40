package trust_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/internal/trust"
)

// authority is a root with its key, which vitrine trust never has.
type authority struct {
	trust.Root
	key crypto.Signer
}

func newAuthority(t testing.TB, key crypto.Signer, change func(*x509.Certificate)) *authority {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "Test '@; $(rm) \"root\""}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	change(c)
	return &authority{trust.Root{Certificate: sign(t, c, c, key.Public(), key)}, key}
}

func sign(t testing.TB, c, by *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func newECDSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func same(*x509.Certificate) {}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Raw})
}

// serve answers HTTPS with a certificate that the authority has signed, as the gateway does. It returns the server's port.
func (a *authority) serve(t testing.TB) (port string) {
	t.Helper()
	key := newECDSA(t)
	leaf := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, NotBefore: a.NotBefore, NotAfter: a.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.Certificate, key.Public(), a.key)
	l, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }), ErrorLog: log.New(io.Discard, "", 0)}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// debianMachine is a Debian in a container, with the programs that are asked.
func debianMachine(t testing.TB, release string, packages ...string) (*trust.Machine, *testkit.Container) {
	t.Helper()
	c := testkit.RootFS(t, release, append(packages, "ca-certificates", "openssl", "debianutils", "sed", "grep", "findutils", "mawk")...)
	m := &trust.Machine{Root: c.Dir, Command: c.Command, Homes: []trust.Home{{Dir: "/root"}}, Look: func(program string) (string, error) {
		for _, dir := range []string{"/usr/sbin/", "/usr/bin/"} {
			if _, err := os.Lstat(c.Dir + dir + program); err == nil {
				return dir + program, nil
			}
		}
		return "", exec.ErrNotFound
	}}
	// What the package's maintainer script does, with few of Mozilla's roots: it takes as long as there are many.
	inside(t, c, "sh", "-c", "cd /usr/share/ca-certificates && mkdir -p /usr/local/share/ca-certificates /etc/ssl/certs && find mozilla -name '*.crt' | sort | head -n 5 > /etc/ca-certificates.conf && update-ca-certificates")
	return m, c
}

// inside runs a program in a container, which must succeed.
func inside(t testing.TB, c *testkit.Container, program string, args ...string) string {
	t.Helper()
	out, err := c.Command(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, out)
	}
	return string(out)
}

// result returns what became of a store, whose name begins like this.
func result(t testing.TB, all []trust.Result, store string) trust.Result {
	t.Helper()
	i := slices.IndexFunc(all, func(r trust.Result) bool { return strings.HasPrefix(r.Store, store) })
	if i < 0 {
		t.Fatalf("no store %q in %+v", store, all)
	}
	return all[i]
}

// snapshot is what the files below some folders say, and where links lead.
func snapshot(t testing.TB, root string, dirs ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case os.IsNotExist(err):
				return nil
			case err != nil:
				return err
			case d.Type() == fs.ModeSymlink:
				all[path], err = os.Readlink(path)
			case d.Type().IsRegular():
				var text []byte
				text, err = os.ReadFile(path)
				all[path] = string(text)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// temporary is a machine that is a folder, with the programs of a table instead of this machine's.
func temporary(t testing.TB, programs map[string]string) *trust.Machine {
	t.Helper()
	root := t.TempDir()
	return &trust.Machine{
		Root: root, Homes: []trust.Home{{Dir: "/home/ann", UID: os.Geteuid()}},
		Look: func(program string) (string, error) {
			if _, ok := programs[program]; !ok {
				return "", exec.ErrNotFound
			}
			return program, nil
		},
		Command: func(ctx context.Context, program string, args ...string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", programs[program], program}, args...)...)
			cmd.Env = append(os.Environ(), "ROOT="+root)
			return cmd
		},
	}
}

func put(t testing.TB, m *trust.Machine, name, text string) {
	t.Helper()
	path := filepath.Join(m.Root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
