package process

import (
	"path"
	"strings"
)

// Bounds of the search for libraries below a root that may be hostile.
const (
	maxLdConf  = 64 << 10 // bytes of one file
	maxFolders = 512      // folders that are searched
)

// usualFolders are where the dynamic loaders of glibc and musl look without being told, and where software that was built on the
// machine goes. A * stands for any one name.
var usualFolders = []string{
	"/lib", "/lib64", "/lib32", "/lib/*-linux-*",
	"/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/lib/*-linux-*",
	"/usr/local/lib", "/usr/local/lib64", "/usr/local/lib/*-linux-*", "/usr/local/*/lib", "/usr/local/*/lib64",
	"/opt/*/lib", "/opt/*/lib64",
}

// libraryNames are how the files of libraries begin that do TLS and that the probe can see into.
var libraryNames = []string{"libssl.so", "libssl-", "libgnutls.so", "libgnutls-", "libnspr4.so", "libnspr4-", "libboringssl"}

// isLibrary tells whether a file may be a TLS library by its name, of which only the last part counts.
func isLibrary(name string) bool {
	name = path.Base(name)
	for _, prefix := range libraryNames {
		if strings.HasPrefix(name, prefix) && strings.Contains(name, ".so") {
			return true
		}
	}
	return false
}

// Libraries finds the TLS libraries below a root directory: "/", or /proc/PID/root for those of a container. It looks into the folders
// that the loader's configuration names and into the usual ones. Links are followed within the root and never out of it.
// Each file is returned once, with its path below the root.
func Libraries(root string) []File {
	t := tree{strings.TrimSuffix(root, "/")}
	var files []File
	seen := map[FileID]bool{}
	for _, folder := range t.libraryFolders() {
		for _, name := range t.list(folder) {
			if !isLibrary(name) {
				continue
			}
			if f, err := t.file(folder + "/" + name); err == nil && !seen[f.ID] && len(files) < maxFiles {
				seen[f.ID] = true
				files = append(files, f)
			}
		}
	}
	return files
}

// libraryFolders returns the folders to search. Some may not exist, and several may be the same one.
func (t tree) libraryFolders() []string {
	s := folderSet{tree: t, seen: map[string]bool{}}
	for _, folder := range usualFolders {
		s.add(folder)
	}
	s.readConf("/etc/ld.so.conf", 0)
	for _, name := range t.list("/etc") {
		if strings.HasPrefix(name, "ld-musl-") && strings.HasSuffix(name, ".path") { // as musl's ldso/dynlink.c has it
			text, _ := t.read("/etc/"+name, maxLdConf)
			for _, folder := range strings.FieldsFunc(string(text), func(r rune) bool { return r == ':' || r == '\n' }) {
				s.add(folder)
			}
		}
	}
	return s.folders
}

// folderSet gathers folders in order.
type folderSet struct {
	tree    tree
	seen    map[string]bool
	folders []string
}

// add takes a folder, or all folders that a pattern with one * stands for.
func (s *folderSet) add(folder string) {
	for _, name := range s.tree.expand(folder) {
		if len(s.folders) < maxFolders && !s.seen[name] {
			s.seen[name] = true
			s.folders = append(s.folders, name)
		}
	}
}

// expand returns what a path with a * in at most one of its parts stands for.
func (t tree) expand(pattern string) (names []string) {
	star := strings.IndexByte(pattern, '*')
	if star < 0 {
		return []string{path.Clean("/" + pattern)}
	}
	before := strings.LastIndexByte(pattern[:star], '/') + 1
	part, after, _ := strings.Cut(pattern[before:], "/")
	for _, name := range t.list(pattern[:before]) {
		if ok, _ := path.Match(part, name); ok {
			names = append(names, path.Join("/", pattern[:before], name, after))
		}
	}
	return names
}

// maxIncludes bounds how deep files of the loader include others.
const maxIncludes = 4

// readConf reads ld.so.conf (ldconfig(8)): a folder a line, maybe with "=TYPE" behind it, and lines "include PATTERN".
func (s *folderSet) readConf(file string, depth int) {
	key := "conf " + file
	if s.seen[key] || depth > maxIncludes || len(s.seen) > 2*maxFolders {
		return
	}
	s.seen[key] = true
	text, _ := s.tree.read(file, maxLdConf)
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		switch {
		case len(fields) > 1 && fields[0] == "include":
			for _, pattern := range fields[1:] {
				if !path.IsAbs(pattern) {
					pattern = path.Join(path.Dir(file), pattern)
				}
				for _, included := range s.tree.expand(pattern) {
					s.readConf(included, depth+1)
				}
			}
		case len(fields) == 1 && path.IsAbs(fields[0]):
			folder, _, _ := strings.Cut(fields[0], "=")
			s.add(folder)
		}
	}
}
