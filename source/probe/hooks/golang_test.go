package hooks

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func findGo(t *testing.T, source string) ([]Library, error) {
	t.Helper()
	file, err := os.Open(testkit.GoBuild(t, "1.26.11", []string{"-ldflags=-s -w"}, source))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return Find(file, info.Size(), Options{})
}

func TestGoProgram(t *testing.T) {
	t.Parallel()
	found, err := findGo(t, `package main

import "crypto/tls"

func main() {
	conn, err := tls.Dial("tcp", "localhost:1", nil)
	if err != nil {
		panic(err)
	}
	conn.Write(nil)
	conn.Read(nil)
	conn.Close()
}
`)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d libraries, %v", len(found), err)
	}
	if found[0].Name != "go" || found[0].Version != "go1.26.11" {
		t.Errorf("library %s, version %s", found[0].Name, found[0].Version)
	}
	exits := map[Program]bool{} // whether there are some
	for _, h := range found[0].Hooks {
		exits[h.Program] = len(h.Exit) > 0
		if h.Enter == 0 || h.Trampoline {
			t.Errorf("%s: enter %#x, trampoline %t", h.Symbol, h.Enter, h.Trampoline)
		}
	}
	if diff := cmp.Diff(map[Program]bool{GoRead: true, GoWrite: false, GoFree: false}, exits); diff != "" {
		t.Error(diff)
	}
}

func TestGoProgramWithoutTLS(t *testing.T) {
	t.Parallel()
	found, err := findGo(t, "package main\n\nfunc main() {}\n")
	if !errors.Is(err, ErrNoTLS) || len(found) > 0 {
		t.Errorf("%d libraries, %v", len(found), err)
	}
}
