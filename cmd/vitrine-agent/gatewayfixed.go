package main

import (
	"crypto/sha256"
	"io"
	"os"
	"reflect"
	"slices"

	"github.com/vitrine-ndr/vitrine/source/gateway/assembly"
)

// fixed are the values of a configuration that count at the start alone, by their keys: with those of a file, what it holds.
type fixed map[string][]any

// fixed returns them for a configuration in the folder.
func (c *gatewayConfig) fixed(dir string) fixed {
	f := fixed{"detection.doubt": {c.Detection.Doubt}, "detection.contact": {c.Detection.Contact}, "authorities": {c.Authorities}, "export": {c.Export}}
	for i, field := range reflect.VisibleFields(reflect.TypeFor[assembly.Config]()) {
		f[field.Tag.Get("yaml")] = []any{reflect.ValueOf(c.Config).Field(i).Interface()}
	}
	f["users"] = append(f["users"], contents(dir, c.Users)...)
	f["trust"] = append(f["trust"], contents(dir, c.Trust.Roots...)...)
	f["ech"] = append(f["ech"], contents(dir, c.ECH.Keys...)...)
	for _, i := range c.Identities {
		f["identities"] = append(f["identities"], contents(dir, i.Certificate, string(i.Key), i.Passphrase)...)
	}
	for _, a := range c.Authorities {
		f["authorities"] = append(f["authorities"], contents(dir, a.Certificate, string(a.Key), a.Passphrase)...)
	}
	return f
}

// contents are digests of files. One that cannot be read is like an empty one.
func contents(dir string, names ...string) (all []any) {
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

// changed are the keys, in their order, whose values differ.
func (f fixed) changed(now fixed) (keys []string) {
	for key, value := range f {
		if !reflect.DeepEqual(value, now[key]) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
