package trust

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
)

// family is a way in which distributions keep the system's store: a folder of what an administrator adds, a program that makes bundles of it,
// and the bundle that OpenSSL, GnuTLS and Go read.
type family struct {
	name    string
	anchors string
	ending  string
	refresh []string
	bundle  string
}

// families in the order in which they are looked for: SUSE has the program of Debian too, and Debian may have the one of Arch.
var families = []family{
	{"RHEL, Fedora, Amazon Linux", "/etc/pki/ca-trust/source/anchors", ".crt", []string{"update-ca-trust", "extract"}, "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"},
	{"SUSE", "/etc/pki/trust/anchors", ".crt", []string{"update-ca-certificates"}, "/var/lib/ca-certificates/ca-bundle.pem"},
	{"Arch", "/etc/ca-certificates/trust-source/anchors", ".crt", []string{"trust", "extract-compat"}, "/etc/ca-certificates/extracted/tls-ca-bundle.pem"},
	{"Debian, Ubuntu, Alpine", "/usr/local/share/ca-certificates", ".crt", []string{"update-ca-certificates"}, "/etc/ssl/certs/ca-certificates.crt"},
}

// system is the store that most programs follow.
type system struct {
	m *Machine
	family
}

// newSystem finds the family whose folder and program are there, or else returns one that is absent.
func newSystem(m *Machine) *system {
	for _, f := range families {
		if _, err := m.Look(f.refresh[0]); err == nil && m.exists(f.anchors) {
			return &system{m, f}
		}
	}
	return &system{m: m}
}

func (s *system) Name() string { return "system" }
func (s *system) Restart() string {
	return "programs read it when they start: restart the services that should notice"
}

func (s *system) Absent() string {
	switch {
	case s.bundle != "":
		return ""
	case s.m.exists("/etc/NIXOS"):
		return "NixOS makes its store from its configuration: add the file to security.pki.certificateFiles"
	}
	return "neither update-ca-certificates, update-ca-trust nor trust with its folder was found: install the package ca-certificates"
}

func (s *system) Trusts(_ context.Context, r Root) (bool, string, error) {
	return s.m.holds(s.bundle, r)
}

func (s *system) file(r Root) string { return s.anchors + "/" + r.name() + s.ending }

func (s *system) Install(ctx context.Context, r Root) error {
	if err := s.m.write(s.file(r), r.pem()); err != nil {
		return err
	}
	return s.update(ctx)
}

// Uninstall refreshes the bundle even if only that was left behind.
func (s *system) Uninstall(ctx context.Context, r Root) error {
	ours := s.m.exists(s.file(r))
	if err := s.m.remove(s.file(r)); err != nil {
		return err
	}
	if in, _, _ := s.Trusts(ctx, r); ours || in {
		if err := s.update(ctx); err != nil {
			return err
		}
	}
	return s.unlink(ctx, r)
}

// hashed is the folder in which OpenSSL looks roots up by their hash.
const hashed = "/etc/ssl/certs"

// unlink removes the link to the root that Debian's program leaves behind. It would go with --fresh, which changes more than Install did: it
// brings stores that follow, such as Java's, up to date.
func (s *system) unlink(ctx context.Context, r Root) error {
	link := hashed + "/" + r.name() + ".pem"
	if !s.m.dangles(link) {
		return nil
	}
	if err := s.m.remove(link); err != nil {
		return err
	}
	return s.m.act(s.m.command(ctx, "openssl", "rehash", hashed), "openssl rehash "+hashed)
}

func (s *system) update(ctx context.Context) error {
	err := s.m.act(s.m.command(ctx, s.refresh[0], s.refresh[1:]...), strings.Join(s.refresh, " "))
	if err != nil {
		return fmt.Errorf("refresh the system's store: %w", err)
	}
	return nil
}

// holds tells whether a bundle in PEM has the root.
func (m *Machine) holds(bundle string, r Root) (bool, string, error) {
	text, err := m.read(bundle)
	if errors.Is(err, fs.ErrNotExist) {
		return false, bundle + " does not exist", nil
	}
	if err != nil {
		return false, "", err
	}
	n, in := 0, false
	for der := range certificates(text) {
		n, in = n+1, in || slices.Equal(der, r.Raw)
	}
	if in {
		return true, fmt.Sprintf("one of %d in %s", n, bundle), nil
	}
	return false, fmt.Sprintf("none of the %d in %s", n, bundle), nil
}

// certificates yields those of a text in PEM, in DER. Comments and other blocks are passed over.
func certificates(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for {
			var block *pem.Block
			if block, text = pem.Decode(text); block == nil {
				return
			}
			if block.Type == "CERTIFICATE" && !yield(block.Bytes) {
				return
			}
		}
	}
}

// GoTrusts tells whether Go's TLS trusts the root: the answer is of when it is asked for the first time in a process.
func GoTrusts(r Root) error {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return fmt.Errorf("read Go's roots: %w", err)
	}
	_, err = r.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}
