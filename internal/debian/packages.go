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
)

// Package is a package of a certain version.
type Package struct{ Name, Version string }

func (p Package) String() string { return p.Name + "=" + p.Version }

// Resolve returns the packages with all that they depend on, in the order in which they are to be unpacked.
func (r *Release) Resolve(ctx context.Context, names ...string) ([]Package, error) {
	unlock, err := r.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
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
