// Package vitrine_test holds the rules of the code base as tests: what may import what, how large things may be, what every
// package, parser and test must have. The folders are read as they are; nothing of them is built or run.
package vitrine_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/vitrine-ndr/vitrine/"

// pkg is what `go list` says of one package of ours.
type pkg struct {
	ImportPath, Dir, Name, Doc string
	GoFiles, IgnoredGoFiles    []string
	TestGoFiles, XTestGoFiles  []string
	Imports, Deps              []string
}

// path is the folder below the root.
func (p *pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

// packages lists all packages except this one.
var packages = sync.OnceValues(func() ([]*pkg, error) {
	list := exec.Command("go", "list", "-e", "-json", "./...")
	list.Env = append(os.Environ(), "CGO_ENABLED=0") // as the programs are built
	out, err := list.Output()
	if err != nil {
		return nil, err
	}
	var all []*pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		p := new(pkg)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		if strings.HasPrefix(p.ImportPath, module) {
			all = append(all, p)
		}
	}
})

func ourPackages(t *testing.T) []*pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("go list knows only %d packages", len(all))
	}
	return all
}

// source is one parsed Go file.
type source struct {
	path  string // below the root
	test  bool
	lines int
	set   *token.FileSet
	file  *ast.File
}

func (s *source) line(p token.Pos) int { return s.set.Position(p).Line }

// generated tells whether the file says so (go.dev/s/generatedcode).
func (s *source) generated() bool { return ast.IsGenerated(s.file) }

var sources = sync.OnceValues(func() ([]*source, error) {
	var all []*source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		s := &source{path: path, test: strings.HasSuffix(path, "_test.go"), set: token.NewFileSet()}
		if s.file, err = parser.ParseFile(s.set, path, nil, parser.ParseComments); err != nil {
			return err
		}
		s.lines = s.set.File(s.file.FileStart).LineCount()
		all = append(all, s)
		return nil
	})
	return all, err
})

func ourSources(t *testing.T) []*source {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	return all
}
