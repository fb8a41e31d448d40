// Package categories has lists of names of servers by the kind of their service, for rules that are about a whole kind: banking, health.
// An id goes in, names go out, in the form of rules: example.com is that name alone, *.example.com all names below it. The lists are
// where to begin, not complete: nobody knows all banks.
package categories

import (
	"embed"
	"io/fs"
	"path"
	"strings"
	"sync"
)

// lists are files with a name a line. A # begins a comment.
//
//go:embed *.txt
var lists embed.FS

// IDs returns the ids of all categories, sorted.
func IDs() (ids []string) {
	files, _ := fs.Glob(lists, "*.txt") // the pattern is valid
	for _, f := range files {
		ids = append(ids, strings.TrimSuffix(f, path.Ext(f)))
	}
	return ids
}

// Names returns the names of a category, which must not be changed, or nil if there is none of this id.
func Names(id string) []string { return byID()[id] }

var byID = sync.OnceValue(func() map[string][]string {
	all := map[string][]string{}
	for _, id := range IDs() {
		text, _ := fs.ReadFile(lists, id+".txt") // it is built in
		all[id] = parse(string(text))
	}
	return all
})

// parse has every name stand for those below it too.
func parse(text string) []string {
	names := []string{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		name := strings.TrimSpace(line)
		switch {
		case name == "":
		case strings.HasPrefix(name, "*."):
			names = append(names, name)
		default:
			names = append(names, name, "*."+name)
		}
	}
	return names
}
