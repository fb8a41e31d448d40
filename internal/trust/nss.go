package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// database is a user's NSS database, which Chromium and its relatives read.
type database struct {
	m      *Machine
	home   Home
	dir    string
	absent string
}

// databases finds those of all users: where Chromium had them and has them now, and in the homes of snaps.
func databases(m *Machine) (all []Store) {
	for _, h := range m.Homes {
		for _, pattern := range []string{"/.pki/nssdb", "/.local/share/pki/nssdb", "/snap/*/current/.pki/nssdb"} {
			for _, dir := range m.glob(h.Dir + pattern) {
				all = append(all, &database{m: m, home: h, dir: dir})
			}
		}
	}
	if len(all) == 0 {
		all = append(all, &database{m: m, absent: "no user has ~/.pki/nssdb or ~/.local/share/pki/nssdb: Chromium makes it when it first runs; install again then"})
	}
	return all
}

func (d *database) Name() string {
	if d.absent != "" {
		return "nss"
	}
	return "nss " + d.dir
}

func (d *database) Absent() string  { return d.absent }
func (d *database) Restart() string { return "restart the user's browser" }

// certutil makes a command that reads or changes the database as its owner. The database of an older Firefox has another kind, and is left alone.
func (d *database) certutil(ctx context.Context, args ...string) (*exec.Cmd, error) {
	program, err := d.m.Look("certutil")
	if err != nil {
		return nil, errors.New("certutil is missing: apt install libnss3-tools, dnf install nss-tools, zypper install mozilla-nss-tools, pacman -S nss, or apk add nss-tools")
	}
	return d.m.as(d.home, d.m.command(ctx, program, append([]string{"-d", "sql:" + d.dir}, args...)...)), nil
}

// entry is a name in the database, and whether it is trusted to issue certificates for servers.
type entry struct {
	name    string
	trusted bool
}

// entries reads a list whose lines end with the trust in three columns: "Name of it    C,,".
func entries(list []byte) (all []entry) {
	for line := range strings.Lines(string(list)) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.Count(line[i:], ",") != 2 || strings.Contains(line, "SSL,S/MIME") {
			continue
		}
		servers, _, _ := strings.Cut(line[i+1:], ",")
		all = append(all, entry{strings.TrimSpace(line[:i]), strings.ContainsRune(servers, 'C')})
	}
	return all
}

// find lists the entries that have the root.
func (d *database) find(ctx context.Context, r Root) (found []entry, err error) {
	cmd, err := d.certutil(ctx, "-L")
	if err != nil {
		return nil, err
	}
	list, err := output(cmd)
	if err != nil {
		return nil, err
	}
	for _, e := range entries(list) {
		cmd, err := d.certutil(ctx, "-L", "-a", "-n", e.name)
		if err != nil {
			return nil, err
		}
		text, err := output(cmd)
		if err != nil {
			return nil, err
		}
		for der := range certificates(text) {
			if bytes.Equal(der, r.Raw) {
				found = append(found, e)
				break
			}
		}
	}
	return found, nil
}

func (d *database) Trusts(ctx context.Context, r Root) (bool, string, error) {
	found, err := d.find(ctx, r)
	if err != nil {
		return false, "", err
	}
	if i := slices.IndexFunc(found, func(e entry) bool { return e.trusted }); i >= 0 {
		return true, fmt.Sprintf("certutil lists it as %q", found[i].name), nil
	}
	if len(found) > 0 {
		return false, fmt.Sprintf("it is there as %q, and not trusted for servers", found[0].name), nil
	}
	return false, "certutil does not list it", nil
}

func (d *database) Install(ctx context.Context, r Root) error {
	return d.change(ctx, r, "-A", "-a", "-t", "C,,", "-n", r.name())
}

// Uninstall deletes what has the root's own name. NSS lists certificates of one subject under each of their names, and deletes that of the name.
func (d *database) Uninstall(ctx context.Context, r Root) error {
	found, err := d.find(ctx, r)
	if err != nil || !slices.ContainsFunc(found, func(e entry) bool { return e.name == r.name() }) {
		return err
	}
	return d.change(ctx, r, "-D", "-n", r.name())
}

func (d *database) change(ctx context.Context, r Root, args ...string) error {
	cmd, err := d.certutil(ctx, args...)
	if err != nil {
		return err
	}
	cmd.Stdin = bytes.NewReader(r.pem())
	if err := d.m.act(cmd, path.Base(cmd.Path)+" "+args[0]+" -d sql:"+d.dir+" -n "+r.name()); err != nil {
		return fmt.Errorf("change %s: %w", d.dir, err)
	}
	return nil
}
