package trust

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/smallstep/pkcs7"
)

// Formats are those in which a root can be had.
var Formats = []string{"crt", "der", "chain", "pkcs7", "jks", "windows", "macos", "kubernetes", "kubernetes-pod", "kubernetes-node"}

// Printed says what Print makes.
type Printed struct {
	Chain     []*x509.Certificate // the root last
	Format    string
	Namespace string // of what is for Kubernetes
	Secret    bool   // instead of a ConfigMap
	Container string // that a pod's patch is for
	Image     string // with a shell, that nodes run once
	Bundle    []byte // the public roots in PEM, to which the root is added: for programs that read one file only
}

// Print makes a file in one of the Formats.
func Print(p Printed) ([]byte, error) {
	r := Root{p.Chain[len(p.Chain)-1]}
	switch p.Format {
	case "crt":
		return r.pem(), nil
	case "der":
		return r.Raw, nil
	case "chain":
		return encode(raw(p.Chain)), nil
	case "pkcs7":
		der, err := pkcs7.DegenerateCertificate(bytes.Join(raw(p.Chain), nil))
		return pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der}), err
	case "jks":
		return printJKS(r)
	}
	return p.script(r)
}

func raw(chain []*x509.Certificate) (all [][]byte) {
	for _, c := range chain {
		all = append(all, c.Raw)
	}
	return all
}

// printJKS makes a trust store with the one root. Its password is everybody's.
func printJKS(r Root) ([]byte, error) {
	ks := keystore.New()
	err := ks.SetTrustedCertificateEntry(r.name(), keystore.TrustedCertificateEntry{
		CreationTime: time.Now(), Certificate: keystore.Certificate{Type: "X.509", Content: r.Raw},
	})
	if err != nil {
		return nil, fmt.Errorf("make a key store: %w", err)
	}
	var out bytes.Buffer
	if err := ks.Store(&out, []byte(password)); err != nil {
		return nil, fmt.Errorf("make a key store: %w", err)
	}
	return out.Bytes(), nil
}

//go:embed scripts.tmpl
var scriptText string

// scripts has a template for each format that is a text. Nothing of a certificate gets into one but its digits and its base64: what a
// name says cannot become a command.
var scripts = template.Must(template.New("").Funcs(template.FuncMap{"indent": indent}).Parse(scriptText))

func (p *Printed) script(r Root) ([]byte, error) {
	sum := sha1.Sum(r.Raw) // by which Windows and macOS know certificates
	var out bytes.Buffer
	err := scripts.ExecuteTemplate(&out, p.Format, map[string]any{
		"Name": r.name(), "SHA256": r.Fingerprint(), "SHA1": strings.ToUpper(hex.EncodeToString(sum[:])), "PEM": string(r.pem()),
		"Bundle": string(merged(p.Bundle, r)), "Namespace": p.Namespace, "Secret": p.Secret, "Container": p.Container, "Image": p.Image,
	})
	if err != nil {
		return nil, fmt.Errorf("print as %s: %w", p.Format, err)
	}
	return out.Bytes(), nil
}

// merged is a bundle with the root in it once.
func merged(bundle []byte, r Root) []byte {
	all := [][]byte{r.Raw}
	for der := range certificates(bundle) {
		if !bytes.Equal(der, r.Raw) {
			all = append(all, der)
		}
	}
	return encode(all)
}

// indent puts each line of a text behind as many spaces.
func indent(n int, text string) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+pad)
}

// Bundle returns the public roots and others that this machine trusts, in PEM.
func (m *Machine) Bundle() ([]byte, error) {
	s := newSystem(m)
	if why := s.Absent(); why != "" {
		return nil, fmt.Errorf("find the public roots of this machine: %s", why)
	}
	return m.read(s.bundle)
}
