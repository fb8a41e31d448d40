package vitrine_test

import (
	"go/ast"
	"path/filepath"
	"slices"
	"testing"
)

// The sizes of code that people read in one go. Generated code is exempt; tests are only held to maxFile.
const (
	medianFile, p90File, maxFile = 130, 350, 600
	medianFunc, p90Func, maxFunc = 10, 40, 80
	maxFiles                     = 12 // in a package: 10 as a rule
)

func TestFileSizes(t *testing.T) {
	var lines []int
	files := map[string]int{}
	for _, s := range ourSources(t) {
		if s.generated() {
			continue
		}
		if s.lines > maxFile {
			t.Errorf("%s has %d lines, at most %d", s.path, s.lines, maxFile)
		}
		if !s.test {
			lines = append(lines, s.lines)
			files[filepath.Dir(s.path)]++
		}
	}
	checkSpread(t, "lines a file", lines, medianFile, p90File)
	for dir, n := range files {
		if n > maxFiles {
			t.Errorf("%s has %d files, at most %d", dir, n, maxFiles)
		}
	}
}

func TestFunctionSizes(t *testing.T) {
	var lines []int
	for _, s := range ourSources(t) {
		if s.generated() || s.test {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			n := s.line(f.End()) - s.line(f.Pos()) + 1
			lines = append(lines, n)
			if n > maxFunc && !isFlatSwitch(s, f) {
				t.Errorf("%s: %s has %d lines, at most %d", s.path, f.Name.Name, n, maxFunc)
			}
		}
	}
	checkSpread(t, "lines a function", lines, medianFunc, p90Func)
}

// isFlatSwitch tells whether a function is little more than one switch.
func isFlatSwitch(s *source, f *ast.FuncDecl) bool {
	whole := s.line(f.Body.End()) - s.line(f.Body.Pos())
	return slices.ContainsFunc(f.Body.List, func(stmt ast.Stmt) bool {
		switch stmt.(type) {
		case *ast.SwitchStmt, *ast.TypeSwitchStmt:
			return 10*(s.line(stmt.End())-s.line(stmt.Pos())) > 8*whole
		}
		return false
	})
}

func checkSpread(t *testing.T, what string, sizes []int, median, p90 int) {
	t.Helper()
	slices.Sort(sizes)
	gotMedian, got90 := sizes[len(sizes)/2], sizes[len(sizes)*9/10]
	t.Logf("%s: median %d, 90th percentile %d, most %d", what, gotMedian, got90, sizes[len(sizes)-1])
	if gotMedian > median || got90 > p90 {
		t.Errorf("%s: median %d, 90th percentile %d; at most %d and %d", what, gotMedian, got90, median, p90)
	}
}
