package trust

import (
	"context"
	"fmt"
	"strings"
)

// python is Python's ssl, and the bundle of the package certifi that requests, pip and many others use instead of the system's. The
// package's file is left alone, since every update would undo a change: variables point to the system's bundle, which has the public
// roots too, and certifi's users look at them first.
type python struct {
	m      *Machine
	system *system
	dropin *dropin
}

func newPython(m *Machine, s *system) *python {
	return &python{m, s, &dropin{m, "python", map[string]string{"REQUESTS_CA_BUNDLE": s.bundle, "SSL_CERT_FILE": s.bundle}}}
}

func (p *python) Name() string    { return "python" }
func (p *python) Restart() string { return p.dropin.hint() }

func (p *python) Absent() string {
	if _, err := p.m.Look("python3"); err != nil {
		return "python3 is not installed"
	}
	return ""
}

// pythonScript connects to a port twice, as ssl and as certifi's users do, and prints OpenSSL's verdict or its complaint.
const pythonScript = `
import os, socket, ssl, sys
def ask(bundle):
    try:
        context = ssl.create_default_context(cafile=bundle)
        context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10), server_hostname="vitrine.invalid")
    except ssl.SSLCertVerificationError as e:
        return str(e.verify_code)
    except ssl.SSLError as e:
        return "signature" if "SIGNATURE" in str(e.reason) else str(e)
print(ask(None))
bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
try:
    if not bundle:
        import certifi
        bundle = certifi.where()
    print(ask(bundle))
except ImportError:
    pass
`

func (p *python) Trusts(ctx context.Context, r Root) (bool, string, error) {
	i, err := newImpostor(ctx, r)
	if err != nil {
		return false, "", err
	}
	defer i.Close()
	out, err := output(p.dropin.command(ctx, "python3", "-c", pythonScript, i.port()))
	if err != nil {
		return false, "", err
	}
	var details []string
	all := true
	for n, verdict := range strings.Fields(string(out)) {
		client := []string{"ssl", "requests (certifi)"}[min(n, 1)]
		ok, detail, err := heard(client, strings.Replace(verdict, "signature", "0", 1), verdict == "signature", fmt.Errorf("python says %q", out))
		if err != nil {
			return false, "", err
		}
		all, details = all && ok, append(details, detail)
	}
	return all, strings.Join(details, "; "), nil
}

// Install points to the system's bundle only if that has the root: a bundle that lacks it would be no gain, and none at all a loss.
func (p *python) Install(ctx context.Context, r Root) error {
	if why := p.system.Absent(); why != "" {
		return fmt.Errorf("point certifi's users to a bundle: %s", why)
	}
	if in, detail, err := p.system.Trusts(ctx, r); !in && !p.m.Dry {
		return fmt.Errorf("point certifi's users to the system's bundle: it lacks the root (%s): %w", detail, err)
	}
	return p.dropin.install()
}

// Uninstall keeps the variables while another root of ours needs them.
func (p *python) Uninstall(_ context.Context, r Root) error {
	for _, other := range p.m.glob(p.system.anchors + "/vitrine-*") {
		if p.system.bundle != "" && other != p.system.file(r) {
			return nil
		}
	}
	return p.dropin.uninstall()
}
