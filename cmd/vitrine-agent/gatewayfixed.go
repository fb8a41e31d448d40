package main

import (
	"crypto/sha256"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/internal/config"
	"github.com/vitrine-ndr/vitrine/source/gateway/assembly"
)

// fixed is what counts at the start alone: a configuration, and by their keys digests of the files that it names.
type fixed struct {
	config gatewayConfig
	files  map[string][]string
}

// fixed returns it for a configuration in the folder.
func (c *gatewayConfig) fixed(dir string) fixed {
	f := map[string][]string{"users": contents(dir, c.Users), "trust.roots": contents(dir, c.Trust.Roots...), "ech.keys": contents(dir, c.ECH.Keys...)}
	for _, i := range c.Identities {
		f["identities"] = append(f["identities"], contents(dir, i.Certificate, string(i.Key), i.Passphrase)...)
	}
	for _, a := range c.Authorities {
		f["authorities"] = append(f["authorities"], contents(dir, a.Certificate, string(a.Key), a.Passphrase)...)
	}
	return fixed{*c, f}
}

// contents are digests of files. One that cannot be read is like an empty one.
func contents(dir string, names ...string) (all []string) {
	for _, name := range names {
		h := sha256.New()
		if f, err := os.Open(assembly.Beside(dir, name)); err == nil {
			_, _ = io.Copy(h, io.LimitReader(f, maxDigested))
			f.Close()
		}
		all = append(all, string(h.Sum(nil)))
	}
	return all
}

// maxDigested is more than any file has that a configuration names.
const maxDigested = 16 << 20

// live tells whether a key is in force as soon as the rules are read again. All others take a restart.
func live(key string) bool { return strings.HasPrefix(key, "rules.") || key == "detection.rules" }

// changed are the keys, in their order, whose values or files differ and that are not in force yet.
func (f fixed) changed(now fixed) []string {
	keys := slices.DeleteFunc(config.Changed(&f.config, &now.config), live)
	for key, digests := range f.files {
		if !slices.Equal(digests, now.files[key]) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
