// Package debian fetches packages of Debian and Ubuntu releases, whatever release this machine is, and unpacks them into root
// file systems for tests. What goes in is the name of a release and of packages; what comes out are files that apt verified:
// by the keyring that Debian's debian-archive-keyring installs, and Ubuntu's by the keyring that Debian's archive has. It
// needs apt, dpkg-deb and tar, as every Debian has them, and the mirror; not root. It knows nothing of what is tested.
package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := r.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := r.prepare(key); err != nil {
		return nil, fmt.Errorf("prepare apt for %s: %w", name, err)
	}
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
