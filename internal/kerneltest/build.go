package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/vitrine-ndr/vitrine/internal/debian"
)

// guestRelease has the programs of the guest. They are the same under every kernel.
const guestRelease = "bookworm"

var guestPackages = []string{"curl", "openssl", "nginx-light", "python3", "wget", "gnutls-bin"}

// watch is the probe with all that it can tell. Its budget and its low priority are out of force: an emulated core is too slow for them,
// and the only one.
var watch = []string{agent, "probe", "-o", "eve", "--coverage", "--stats", "--max-cpu", "1000"}

// runs are the starts of the probe on each kernel: as it comes, and by the ways of kernels before 5.8 and without BTF.
var runs = []run{
	{Name: "default", Probe: watch},
	{Name: "legacy", Probe: append(watch[:len(watch):len(watch)], "--legacy")},
}

// build writes the initramfs: the guest's programs, the agent, this program and the plan.
func (m *tester) build(ctx context.Context, program string) error {
	release, err := debian.Open(ctx, m.cache, guestRelease)
	if err != nil {
		return err
	}
	root, err := release.Root(ctx, guestPackages...)
	if err != nil {
		return err
	}
	me, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	f, err := os.Create(m.initramfs)
	if err != nil {
		return fmt.Errorf("make initramfs: %w", err)
	}
	defer f.Close()
	a := newArchive(f)
	a.tree(root, dispensable)
	a.device("dev/console", 5, 1)
	a.device("dev/null", 1, 3)
	a.copyFile("init", me)
	a.copyFile(strings.TrimPrefix(agent, "/"), program)
	if err := addTest(a); err != nil {
		return err
	}
	if err := a.Close(); err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	return f.Close()
}

// addTest adds the folder /test.
func addTest(a *archive) error {
	cert, key, err := certificate()
	if err != nil {
		return err
	}
	p := plan{Seed: make([]byte, 64), Servers: servers, Clients: clients(), Runs: runs}
	if _, err := rand.Read(p.Seed); err != nil {
		return fmt.Errorf("make seed: %w", err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	a.folder("test")
	a.text("test/plan.json", text, 0o600)
	a.text("test/cert.pem", cert, 0o644)
	a.text("test/key.pem", key, 0o600)
	a.text("test/nginx.conf", []byte(nginxConf), 0o644)
	a.text("test/large", bytes.Repeat([]byte("0123456789abcde\n"), largeBytes/16), 0o644)
	return nil
}

// dispensable are parts of packages that the guest's programs don't use: what is left fits into the machine's memory twice.
func dispensable(name string) bool {
	for _, prefix := range []string{"dev/", "usr/lib/x86_64-linux-gnu/perl", "usr/share/perl", "usr/bin/perl", "usr/lib/x86_64-linux-gnu/gconv", "var/cache"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
