package trust_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/internal/trust"
)

func printed(t *testing.T, p trust.Printed) []byte {
	t.Helper()
	p.Namespace, p.Container, p.Image = "shop", "app", "busybox:stable"
	out, err := trust.Print(p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// read has a program read what was printed.
func read(t *testing.T, text []byte, program string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), testkit.Need(t, program), append(args, file)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
	return string(out)
}

func TestPrintedCertificates(t *testing.T) {
	root, below := newAuthority(t, newECDSA(t), same), newAuthority(t, newECDSA(t), same)
	chain := []*x509.Certificate{below.Certificate, root.Certificate}
	if got := printed(t, trust.Printed{Chain: chain, Format: "der"}); !bytes.Equal(got, root.Raw) {
		t.Errorf("DER: %x", got)
	}
	if block, rest := pem.Decode(printed(t, trust.Printed{Chain: chain, Format: "crt"})); !bytes.Equal(block.Bytes, root.Raw) || len(rest) > 0 {
		t.Errorf("PEM: %x, and %q", block.Bytes, rest)
	}
	if n := bytes.Count(printed(t, trust.Printed{Chain: chain, Format: "chain"}), []byte("BEGIN CERTIFICATE")); n != 2 {
		t.Errorf("chain: %d certificates", n)
	}
	pkcs7 := read(t, printed(t, trust.Printed{Chain: chain, Format: "pkcs7"}), "openssl", "pkcs7", "-print_certs", "-in")
	if !strings.Contains(pkcs7, string(bytes.TrimSpace(root.pem()))) || !strings.Contains(pkcs7, string(bytes.TrimSpace(below.pem()))) {
		t.Errorf("OpenSSL reads PKCS#7 as %s", pkcs7)
	}
	jks := read(t, printed(t, trust.Printed{Chain: chain, Format: "jks"}), "keytool", "-list", "-rfc", "-storepass", "changeit", "-keystore")
	if !strings.Contains(strings.ReplaceAll(jks, "\r", ""), string(bytes.TrimSpace(root.pem()))) {
		t.Errorf("keytool reads %s", jks)
	}
}

// TestScripts has what reads scripts look at them, and finds nothing of the hostile name in any.
func TestScripts(t *testing.T) {
	root, public := newAuthority(t, newECDSA(t), same), newAuthority(t, newECDSA(t), same)
	for _, format := range []string{"windows", "macos", "kubernetes", "kubernetes-pod", "kubernetes-node"} {
		for _, secret := range []bool{false, true} {
			text := printed(t, trust.Printed{Chain: []*x509.Certificate{root.Certificate}, Format: format, Secret: secret, Bundle: append(public.pem(), root.pem()...)})
			if bytes.Contains(text, []byte("$(rm)")) {
				t.Errorf("%s has the name of the certificate: %s", format, text)
			}
			switch format {
			case "windows":
				if !bytes.Contains(text, append([]byte("@'\n"), append(root.pem(), []byte("'@")...)...)) {
					t.Errorf("%s", text)
				}
			case "macos":
				read(t, text, "sh", "-n")
			default:
				checkManifest(t, format, secret, text, root, public)
			}
		}
	}
}

func checkManifest(t *testing.T, format string, secret bool, text []byte, root, public *authority) {
	t.Helper()
	var m struct {
		Kind             string
		Metadata         struct{ Namespace string }
		Data, StringData map[string]string
		Spec             struct {
			Template struct {
				Spec struct {
					Containers []struct{ Command []string }
					Volumes    []struct{ Secret, ConfigMap map[string]string }
				}
			}
		}
	}
	if err := yaml.Unmarshal(bytes.ReplaceAll(text, []byte("configMap:"), []byte("configmap:")), &m); err != nil {
		t.Fatalf("%s: %v\n%s", format, err, text)
	}
	if format == "kubernetes" {
		data, kind := m.Data, "ConfigMap"
		if secret {
			kind = "Secret"
			if err := yaml.Unmarshal(bytes.ReplaceAll(text, []byte("stringData"), []byte("stringdata")), &m); err != nil {
				t.Fatal(err)
			}
			data = m.StringData
		}
		if m.Kind != kind || m.Metadata.Namespace != "shop" || data["ca.crt"] != string(root.pem()) || data["bundle.crt"] != string(root.pem())+string(public.pem()) {
			t.Errorf("%s: %+v", format, m)
		}
		return
	}
	volumes, containers := m.Spec.Template.Spec.Volumes, m.Spec.Template.Spec.Containers
	last := volumes[len(volumes)-1]
	if (last.Secret["secretName"] == "vitrine-ca") != secret || (last.ConfigMap["name"] == "vitrine-ca") == secret || len(containers) != 1 {
		t.Errorf("%s: %+v", format, m.Spec)
	}
	if format == "kubernetes-node" {
		read(t, []byte(containers[0].Command[2]), "sh", "-n")
	}
}
