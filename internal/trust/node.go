package trust

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// node is Node.js, which has roots of its own, and adds those of one file if a variable names it. The file has all roots that were installed.
type node struct {
	m      *Machine
	dropin *dropin
}

const nodeFile = ours + "/node.pem"

func newNode(m *Machine) *node {
	return &node{m, &dropin{m, "node", map[string]string{"NODE_EXTRA_CA_CERTS": nodeFile}}}
}

func (n *node) Name() string    { return "node" }
func (n *node) Restart() string { return n.dropin.hint() }

func (n *node) Absent() string {
	if _, err := n.m.Look("node"); err != nil {
		return "node is not installed"
	}
	return ""
}

// nodeScript lists the roots that connections have. Before Node.js 22.15, those of the variable's file are not in the list.
const nodeScript = `
const { rootCertificates, getCACertificates } = require("tls"), { X509Certificate } = require("crypto"), { readFileSync } = require("fs");
const wanted = process.argv[1], file = process.env.NODE_EXTRA_CA_CERTS;
let roots = getCACertificates ? getCACertificates("default") : [...rootCertificates];
if (!getCACertificates && file) {
  try { roots = roots.concat(readFileSync(file, "utf8").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []); } catch {}
}
const found = roots.some((pem) => new X509Certificate(pem).fingerprint256.replaceAll(":", "").toLowerCase() === wanted);
console.log(found, roots.length, file ?? "");
`

func (n *node) Trusts(ctx context.Context, r Root) (bool, string, error) {
	out, err := output(n.dropin.command(ctx, "node", "-e", nodeScript, r.Fingerprint()))
	if err != nil {
		return false, "", err
	}
	words := strings.SplitN(strings.TrimSpace(string(out)), " ", 3)
	if len(words) < 2 {
		return false, "", fmt.Errorf("list the roots of node: it says %q", out)
	}
	where := "NODE_EXTRA_CA_CERTS is not set"
	if len(words) == 3 {
		where = "with NODE_EXTRA_CA_CERTS=" + words[2]
	}
	if words[0] == "true" {
		return true, fmt.Sprintf("one of %s roots, %s", words[1], where), nil
	}
	return false, fmt.Sprintf("none of %s roots, %s", words[1], where), nil
}

func (n *node) Install(_ context.Context, r Root) error {
	roots, err := n.roots()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(roots, func(der []byte) bool { return bytes.Equal(der, r.Raw) }) {
		roots = append(roots, r.Raw)
	}
	if err := n.m.write(nodeFile, encode(roots)); err != nil {
		return err
	}
	return n.dropin.install()
}

func (n *node) Uninstall(_ context.Context, r Root) error {
	roots, err := n.roots()
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(roots, func(der []byte) bool { return bytes.Equal(der, r.Raw) })
	if len(rest) > 0 {
		return n.m.write(nodeFile, encode(rest))
	}
	if err := n.dropin.uninstall(); err != nil { // before the file: no variable names one that is missing
		return err
	}
	return n.m.remove(nodeFile, ours, "/etc/vitrine")
}

// roots are those that the file has, in DER.
func (n *node) roots() ([][]byte, error) {
	text, err := n.m.read(nodeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return slices.Collect(certificates(text)), err
}

func encode(roots [][]byte) (text []byte) {
	for _, der := range roots {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}
