package trust

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// firefox is Firefox, which reads certificates that a policy names when it starts, and keeps them in the database of each profile.
type firefox struct{ m *Machine }

func newFirefox(m *Machine) *firefox { return &firefox{m} }

// firefoxPolicies is where an administrator's policies are. A file beside the program is read only if this one does not exist.
const firefoxPolicies = "/etc/firefox/policies/policies.json"

var firefoxFolders = []string{"/usr/lib/firefox*", "/usr/lib64/firefox*", "/opt/firefox*", "/snap/firefox/current", "/usr/share/firefox*"}

func (f *firefox) Name() string    { return "firefox" }
func (f *firefox) Restart() string { return "restart Firefox" }

func (f *firefox) Absent() string {
	for _, pattern := range append(firefoxFolders, "/etc/firefox") {
		if len(f.m.glob(pattern)) > 0 {
			return ""
		}
	}
	return "Firefox is not installed"
}

// file is the one that Firefox reads: a new one in /etc would hide what came with the program.
func (f *firefox) file() string {
	if f.m.exists(firefoxPolicies) {
		return firefoxPolicies
	}
	for _, pattern := range firefoxFolders {
		for _, name := range f.m.glob(pattern + "/distribution/policies.json") {
			return name
		}
	}
	return firefoxPolicies
}

func (f *firefox) certificate(r Root) string { return ours + "/" + r.name() + ".crt" }

func (f *firefox) Trusts(_ context.Context, r Root) (bool, string, error) {
	p, err := f.load()
	if err != nil {
		return false, "", err
	}
	for _, name := range p.install {
		if text, err := f.m.read(name); err == nil && isRoot(text, r) {
			return true, f.file() + " has Firefox install " + name, nil
		}
	}
	return false, f.file() + " does not have Firefox install it", nil
}

// isRoot tells whether a file, in PEM or DER, is the root.
func isRoot(text []byte, r Root) bool {
	for der := range certificates(text) {
		return bytes.Equal(der, r.Raw)
	}
	return bytes.Equal(text, r.Raw)
}

func (f *firefox) Install(_ context.Context, r Root) error {
	p, err := f.load()
	if err != nil {
		return err
	}
	if err := f.m.write(f.certificate(r), r.pem()); err != nil {
		return err
	}
	if !slices.Contains(p.install, f.certificate(r)) {
		p.install = append(p.install, f.certificate(r))
	}
	return f.save(p)
}

// Uninstall cleans the profiles before it forgets that Firefox was told, so that it can be repeated.
func (f *firefox) Uninstall(ctx context.Context, r Root) error {
	p, err := f.load()
	if err != nil {
		return err
	}
	if i := slices.Index(p.install, f.certificate(r)); i >= 0 {
		if err := f.clean(ctx, r); err != nil {
			return err
		}
		p.install = slices.Delete(p.install, i, i+1)
		if err := f.save(p); err != nil {
			return err
		}
	}
	return f.m.remove(f.certificate(r), ours, "/etc/vitrine")
}

// profiles are where Firefox keeps the databases, below a home.
var profiles = []string{"/.mozilla/firefox/*/cert9.db", "/.config/mozilla/firefox/*/cert9.db", "/snap/firefox/common/.mozilla/firefox/*/cert9.db"}

// clean takes the root out of the profiles: Firefox forgets nothing that a policy has given it.
func (f *firefox) clean(ctx context.Context, r Root) (failed error) {
	for _, h := range f.m.Homes {
		for _, pattern := range profiles {
			for _, file := range f.m.glob(h.Dir + pattern) {
				d := &database{m: f.m, home: h, dir: file[:len(file)-len("/cert9.db")]}
				failed = errors.Join(failed, d.clean(ctx, r))
			}
		}
	}
	return failed
}

// clean deletes the root, whatever its name.
func (d *database) clean(ctx context.Context, r Root) error {
	found, err := d.find(ctx, r)
	for _, e := range found {
		err = errors.Join(err, d.change(ctx, r, "-D", "-n", e.name))
	}
	return err
}

// policies is a file of policies: what is ours to change, and the rest as it was.
type policies struct {
	file, all, certificates map[string]json.RawMessage
	install                 []string
}

func (f *firefox) load() (*policies, error) {
	p := &policies{file: map[string]json.RawMessage{}, all: map[string]json.RawMessage{}, certificates: map[string]json.RawMessage{}}
	text, err := f.m.read(f.file())
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.file)
	}
	for _, step := range []struct {
		in   map[string]json.RawMessage
		key  string
		into any
	}{{p.file, "policies", &p.all}, {p.all, "Certificates", &p.certificates}, {p.certificates, "Install", &p.install}} {
		if raw, ok := step.in[step.key]; ok && err == nil {
			err = json.Unmarshal(raw, step.into)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: Firefox ignores such a file; mend it or move it away", f.file(), err)
	}
	return p, nil
}

// save writes the policies, and leaves out what has become empty.
func (f *firefox) save(p *policies) error {
	for _, step := range []struct {
		in    map[string]json.RawMessage
		key   string
		value any
		empty func() bool
	}{
		{p.certificates, "Install", p.install, func() bool { return len(p.install) == 0 }},
		{p.all, "Certificates", p.certificates, func() bool { return len(p.certificates) == 0 }},
		{p.file, "policies", p.all, func() bool { return len(p.all) == 0 }},
	} {
		if step.empty() {
			delete(step.in, step.key)
			continue
		}
		raw, err := json.Marshal(step.value)
		if err != nil {
			return err
		}
		step.in[step.key] = raw
	}
	name := f.file()
	if len(p.file) == 0 {
		return f.m.remove(name, "/etc/firefox/policies")
	}
	text, err := json.MarshalIndent(p.file, "", "  ")
	if err != nil {
		return err
	}
	return f.m.write(name, append(text, '\n'))
}
