package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/vitrine-ndr/vitrine/internal/debian"
)

// kernel is one that the probe is tried on.
type kernel struct {
	name    string // as in the table and in -kernels
	release string
	pkg     string
	// optional kernels are of an archive that not every network reaches. Without them the run is still good, and says so.
	optional bool
}

// kernels is the matrix. The oldest that Vitrine is made for is only to be had from Ubuntu; the newest is whatever Debian's
// development release has today.
var kernels = []kernel{
	{"4.18", "bionic", "linux-image-unsigned-4.18.0-25-generic", true},
	{"5.10", "bullseye", "linux-image-cloud-amd64", false},
	{"6.1", "bookworm", "linux-image-cloud-amd64", false},
	{"6.12", "trixie", "linux-image-cloud-amd64", false},
	{"newest", "sid", "linux-image-cloud-amd64", false},
}

// holdsKernel fits the packages that can have the kernel itself, not those that only depend on it, nor modules.
var holdsKernel = regexp.MustCompile(`^linux-(image|image-unsigned|binary)-[0-9]`)

// image returns the path of the kernel's bootable file, which it fetches unless the cache has it.
func (k kernel) image(ctx context.Context, cache string) (string, error) {
	release, err := debian.Open(ctx, cache, k.release)
	if err != nil {
		return "", err
	}
	plan, err := release.Resolve(ctx, k.pkg)
	if err != nil {
		return "", err
	}
	var wanted []debian.Package
	for _, p := range plan {
		if holdsKernel.MatchString(p.Name) {
			wanted = append(wanted, p)
		}
	}
	if len(wanted) == 0 {
		return "", fmt.Errorf("%s has no kernel", k.pkg)
	}
	files, err := release.Download(ctx, wanted...)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(cache, "kernel-*")
	if err != nil {
		return "", fmt.Errorf("unpack kernel: %w", err)
	}
	defer os.RemoveAll(dir)
	for _, f := range files {
		if err := debian.Unpack(ctx, f, dir, "./lib/modules/*/kernel", "./usr/lib/modules/*/kernel", "./usr/share"); err != nil {
			return "", err
		}
	}
	return keep(dir, filepath.Join(cache, "vmlinuz-"+k.name))
}

// keep moves the one kernel below dir to path.
func keep(dir, path string) (string, error) {
	var found []string
	for _, pattern := range []string{"boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return "", fmt.Errorf("find kernel: %w", err)
		}
		found = append(found, files...)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("the packages have %d kernels, want one", len(found))
	}
	if err := os.Rename(found[0], path); err != nil {
		return "", fmt.Errorf("keep kernel: %w", err)
	}
	return path, nil
}
