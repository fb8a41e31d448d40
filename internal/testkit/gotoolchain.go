package testkit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// GoBuild builds a program of one file with a version of Go ("1.18.10") and returns its path; the caller must not change it. What
// of flags has no dash in front is a variable for the environment ("GOARCH=arm64"). The toolchain comes from the module proxy. It, the
// objects and the programs stay in the user's caches, so that only the first run on a machine takes long.
func GoBuild(t testing.TB, version string, flags []string, mainSource string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", version, flags, mainSource))
	program := filepath.Join(cache, "vitrine", "testkit", "go"+version+"-"+hex.EncodeToString(key[:8]))
	if _, err := os.Stat(program); err == nil {
		return program
	}
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(source, []byte(mainSource), 0o644); err != nil {
		t.Fatal(err)
	}
	built := filepath.Join(filepath.Dir(program), fmt.Sprintf(".%d-%s", os.Getpid(), filepath.Base(program)))
	defer os.Remove(built)
	goTool(t, goRoot(t, version), flags, "build", "-o", built, source)
	if err := os.Rename(built, program); err != nil { // whole, whoever else builds it
		t.Fatal(err)
	}
	return program
}

// goRoot fetches a toolchain and returns its folder.
func goRoot(t testing.TB, version string) string {
	t.Helper()
	fetch := exec.Command("go", "mod", "download", "-json", fmt.Sprintf("golang.org/toolchain@v0.0.1-go%s.%s-%s", version, runtime.GOOS, runtime.GOARCH))
	fetch.Dir = t.TempDir() // no module: its go.sum stays as it is
	out, err := fetch.Output()
	var answer struct{ Dir, Error string }
	if json.Unmarshal(out, &answer) != nil || err != nil || answer.Dir == "" {
		t.Fatalf("fetch Go %s: %v: %s%s", version, err, answer.Error, stderr(err))
	}
	// Files of modules are not executable. The go command does the same for a toolchain that it switches to.
	for _, programs := range []string{"bin/*", "pkg/tool/*/*"} {
		paths, _ := filepath.Glob(filepath.Join(answer.Dir, programs))
		for _, p := range paths {
			if info, err := os.Stat(p); err == nil && info.Mode()&0o111 == 0 {
				if err := os.Chmod(p, 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return answer.Dir
}

// goTool runs the go command of a toolchain, without cgo unless a variable in flags says otherwise.
func goTool(t testing.TB, root string, flags []string, command string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(root, "bin", "go"), command)
	cmd.Env = append(os.Environ(), "GOROOT="+root, "GOTOOLCHAIN=local", "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	for _, f := range flags {
		if strings.HasPrefix(f, "-") {
			cmd.Args = append(cmd.Args, f)
		} else {
			cmd.Env = append(cmd.Env, f)
		}
	}
	cmd.Args = append(cmd.Args, args...)
	cmd.Dir = filepath.Dir(args[len(args)-1])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// stderr is what a program that failed had to say.
func stderr(err error) []byte {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.Stderr
	}
	return nil
}
