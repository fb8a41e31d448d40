package origin_test

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
)

// TestOpenSSL has OpenSSL's own responder and its own list tell about a certificate that is revoked, and about one that is not.
func TestOpenSSL(t *testing.T) {
	openssl, dir, root := testkit.Need(t, "openssl"), t.TempDir(), issue(t, nil, ca("Root", forLists))
	key, err := x509.MarshalPKCS8PrivateKey(root.key)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certFile, keyFile := file("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.cert.Raw})), file("ca.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	const day = "060102150405Z"
	yesterday, tomorrow := now.Add(-24*time.Hour).UTC().Format(day), now.Add(24*time.Hour).UTC().Format(day)
	index := file("index.txt", fmt.Appendf(nil, "R\t%s\t%s\t1007\tunknown\t/CN=a\nV\t%s\t\t1008\tunknown\t/CN=b\n", tomorrow, yesterday, tomorrow))
	conf := file("ca.conf", fmt.Appendf(nil, "[ca]\ndefault_ca = it\n[it]\ndatabase = %s\ncertificate = %s\nprivate_key = %s\ndefault_md = sha256\ndefault_crl_days = 2\ncrl_extensions = more\n[more]\nauthorityKeyIdentifier = keyid\n", index, certFile, keyFile))
	list := filepath.Join(dir, "list.der")
	if out, err := exec.CommandContext(t.Context(), openssl, "ca", "-config", conf, "-gencrl", "-crl_lastupdate", yesterday, "-out", list+".pem").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), openssl, "crl", "-in", list+".pem", "-outform", "DER", "-out", list).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	responder := startResponder(t, exec.Command(openssl, "ocsp", "-index", index, "-CA", certFile, "-rsigner", certFile, "-rkey", keyFile, "-ndays", "1", "-port"))
	for name, told := range map[string]func(*x509.Certificate){"by the list": listed(newPlaces(t).put("/list", text)), "by the responder": answered(responder)} {
		for number, want := range map[int64]flow.Fault{0x1007: flow.Revoked, 0x1008: ""} {
			leaf := issue(t, root, server(told, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(number) }))
			judge := origin.NewOnline(pool(root), origin.Online{Guard: local, Revocation: origin.Hard}, testkit.Logger(t))
			if got := settled(judge, []*x509.Certificate{leaf.cert}, want); got != want {
				t.Errorf("%s, number %x: %q, want %q", name, number, got, want)
			}
		}
	}
}

// startResponder runs a responder, whose last argument is still missing, until the test ends, and returns its address.
func startResponder(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd.Args = append(cmd.Args, port)
	says, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(says); lines.Scan(); { // it would wait in vain for what a connection says that only tries whether it is there
		if strings.Contains(lines.Text(), "waiting for OCSP client connections") {
			return "http://" + address + "/"
		}
	}
	t.Fatal("the responder does not listen")
	return ""
}
