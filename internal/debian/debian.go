// Package debian fetches packages of Debian and Ubuntu releases, whatever release this machine is, and unpacks them into root
// file systems for tests. What goes in is the name of a release and of packages; what comes out are files that apt verified:
// by the keyring that Debian's debian-archive-keyring installs, and Ubuntu's by the keyring that Debian's archive has. It
// needs apt, dpkg-deb and tar, as every Debian has them, and the mirror; not root. It knows nothing of what is tested.
package debian

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	mirror  = "http://deb.debian.org/debian"
	ubuntu  = "http://archive.ubuntu.com/ubuntu"
	keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

	// freshFor is how long the lists of packages are believed. Mirrors keep replaced packages for longer than that.
	freshFor = 12 * time.Hour
)

// ErrUnreachable says that a release can't be had: no apt, no mirror, or no keyring that verifies it.
var ErrUnreachable = errors.New("packages are out of reach")

// suites are the sources of each release that can be had, by apt's notation without the key. Security updates are left out:
// what is unpacked serves tests only, and the archives of old releases stay whole for longer without them.
var suites = map[string][]string{
	"bullseye": {mirror + " bullseye main"},
	"bookworm": {mirror + " bookworm main"},
	"trixie":   {mirror + " trixie main"},
	"sid":      {mirror + " sid main"},
	"bionic":   {ubuntu + " bionic main", ubuntu + " bionic-updates main"},
}

// Release is one release's packages, for this machine's architecture.
type Release struct {
	name    string
	dir     string   // lists, packages and unpacked root file systems
	options []string // of every apt command: a world of its own
}

// Open makes the packages of a release available, with everything that is kept below cache. It is safe for several
// processes at once. The error is ErrUnreachable where the release can't be had.
func Open(ctx context.Context, cache, name string) (*Release, error) {
	sources, ok := suites[name]
	if !ok {
		return nil, fmt.Errorf("no release is called %q", name)
	}
	cache, err := filepath.Abs(cache)
	if err != nil {
		return nil, fmt.Errorf("find cache folder: %w", err)
	}
	key, err := keyOf(ctx, cache, sources[0])
	if err != nil {
		return nil, err
	}
	return open(ctx, cache, name, key)
}

// open trusts lists that the key signed, and no others.
func open(ctx context.Context, cache, name, key string) (*Release, error) {
	r := &Release{name: name, dir: filepath.Join(cache, name)}
	if err := r.prepare(key); err != nil {
		return nil, fmt.Errorf("prepare apt for %s: %w", name, err)
	}
	unlock, err := r.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return r, r.update(ctx)
}

// keyOf returns the keyring that verifies a source. Debian vouches for Ubuntu's.
func keyOf(ctx context.Context, cache, source string) (string, error) {
	if !strings.HasPrefix(source, ubuntu) {
		if _, err := os.Stat(keyring); err != nil {
			return "", fmt.Errorf("%w: debian-archive-keyring is not installed: %w", ErrUnreachable, err)
		}
		return keyring, nil
	}
	debian, err := Open(ctx, cache, "trixie")
	if err != nil {
		return "", err
	}
	root, err := debian.Root(ctx, "ubuntu-keyring")
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "usr/share/keyrings/ubuntu-archive-keyring.gpg"), nil
}

// prepare makes the folders of a private apt. The machine's own settings stay, for the sake of proxies.
func (r *Release) prepare(key string) error {
	for _, d := range []string{"lists/partial", "archives/partial", "apt"} {
		if err := os.MkdirAll(filepath.Join(r.dir, d), 0o755); err != nil {
			return err
		}
	}
	var list strings.Builder
	for _, s := range suites[r.name] {
		fmt.Fprintf(&list, "deb [signed-by=%s] %s\n", key, s)
	}
	for file, text := range map[string]string{"sources.list": list.String(), "status": ""} {
		if err := os.WriteFile(filepath.Join(r.dir, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for option, value := range map[string]string{
		"Dir::State": "", "Dir::State::lists": "lists", "Dir::State::status": "status", "Dir::Cache": "apt", "Dir::Cache::archives": "archives",
		"Dir::Etc::sourcelist": "sources.list",
	} {
		r.options = append(r.options, "-o", option+"="+filepath.Join(r.dir, value))
	}
	r.options = append(r.options, "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "Dir::Etc::preferencesparts=/dev/null", "-o", "APT::Get::AllowUnauthenticated=false",
		"-o", "Acquire::AllowInsecureRepositories=false", "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false", "-o", "Acquire::Languages=none",
		"-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=20", "-o", "APT::Sandbox::User=", "-o", "APT::Update::Error-Mode=any",
		"-o", "Debug::NoLocking=true") // lock has it
	return nil
}

// lock keeps other processes out of the release's folder until unlock is called.
func (r *Release) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(r.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock packages of %s: %w", r.name, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock packages of %s: %w", r.name, err)
	}
	return func() { f.Close() }, nil
}

// update gets the lists of packages, unless they are fresh.
func (r *Release) update(ctx context.Context) error {
	stamp := filepath.Join(r.dir, "updated")
	if info, err := os.Stat(stamp); err == nil && time.Since(info.ModTime()) < freshFor {
		return nil
	}
	if _, err := r.apt(ctx, r.dir, "update", "-qq"); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if err := os.WriteFile(stamp, nil, 0o644); err != nil {
		return fmt.Errorf("note update of %s: %w", r.name, err)
	}
	return nil
}

// Package is a package of a certain version.
type Package struct{ Name, Version string }

func (p Package) String() string { return p.Name + "=" + p.Version }

// Resolve returns the packages with all that they depend on, in the order in which they are to be unpacked.
func (r *Release) Resolve(ctx context.Context, names ...string) ([]Package, error) {
	args := append([]string{"install", "--simulate", "--no-install-recommends", "-qq"}, names...)
	out, err := r.apt(ctx, r.dir, args...)
	if err != nil {
		return nil, err
	}
	packages := parsePlan(out)
	if len(packages) == 0 {
		return nil, fmt.Errorf("apt has no plan to install %s", strings.Join(names, " "))
	}
	return packages, nil
}

// parsePlan reads lines such as "Inst zlib1g (1:1.2.13.dfsg-1 Debian:12/stable [amd64])".
func parsePlan(out []byte) (packages []Package) {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[0] != "Inst" {
			continue
		}
		packages = append(packages, Package{Name: fields[1], Version: strings.TrimPrefix(fields[2], "(")})
	}
	return packages
}

// Download returns the files of packages, one each and in the same order. apt verifies a package when it comes; what the cache
// has is trusted, as its folder is.
func (r *Release) Download(ctx context.Context, packages ...Package) ([]string, error) {
	unlock, err := r.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	args := []string{"download", "-qq"}
	for _, p := range packages {
		if len(r.cached(p)) == 0 {
			args = append(args, p.String())
		}
	}
	if len(args) > 2 {
		if err := r.download(ctx, args); err != nil {
			return nil, err
		}
	}
	files := make([]string, len(packages))
	for i, p := range packages {
		found := r.cached(p)
		if len(found) != 1 {
			return nil, fmt.Errorf("apt left %d files for %s", len(found), p)
		}
		files[i] = found[0]
	}
	return files, nil
}

// cached returns the files of the package: one or none.
func (r *Release) cached(p Package) []string {
	// A colon of the version is %3a in the file's name. Names and versions of packages have no characters of patterns.
	found, _ := filepath.Glob(filepath.Join(r.dir, "archives", p.Name+"_"+strings.ReplaceAll(p.Version, ":", "%3a")+"_*.deb"))
	return found
}

// download has apt put files into a folder of their own, and then into the cache, so that what is there is whole and verified.
func (r *Release) download(ctx context.Context, args []string) error {
	tmp, err := os.MkdirTemp(r.dir, "download-*")
	if err != nil {
		return fmt.Errorf("make folder for packages: %w", err)
	}
	defer os.RemoveAll(tmp)
	if _, err := r.apt(ctx, tmp, args...); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	files, err := os.ReadDir(tmp)
	if err != nil {
		return fmt.Errorf("keep packages: %w", err)
	}
	for _, f := range files {
		if err := os.Rename(filepath.Join(tmp, f.Name()), filepath.Join(r.dir, "archives", f.Name())); err != nil {
			return fmt.Errorf("keep packages: %w", err)
		}
	}
	return nil
}

// apt runs apt-get in a folder.
func (r *Release) apt(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "apt-get", slices.Concat(r.options, args)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if err != nil {
		return nil, fmt.Errorf("apt-get %s for %s: %w: %s", args[0], r.name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
