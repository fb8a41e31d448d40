package probe_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// TestTransfers moves files down and up, and wants their bytes at both ends. They move 20 MB a second: two on one machine can
// be faster than the probe is under the race detector.
func TestTransfers(t *testing.T) {
	id, s := newIdentity(t), newSite(t)
	w := watch(t, probe.Config{})
	port := nginx(t, id, s)
	for name, move := range movers(w) {
		t.Run(name, func(t *testing.T) {
			var args []string
			want := map[string]string{} // hashes by URL
			for _, size := range []string{"16k", "64k", "10m"} {
				for _, path := range []string{"/" + size + "?by=" + name, "/up/" + name + "/" + size} {
					want[path] = s.hashes[size]
					if strings.HasPrefix(path, "/up") {
						args = append(args, "@"+filepath.Join(s.dir, size))
					}
					args = append(args, fmt.Sprintf("https://127.0.0.1:%d%s", port, path))
				}
			}
			move(t, args)
			checkTransfers(t, w, port, 2, want)
		})
	}
	for name, server := range map[string]int{"openssl": opensslServer(t, id, s), "go": goServer(t, w, goProgram(t, "1.26.8"), id, s)} {
		t.Run(name+" server", func(t *testing.T) {
			want := map[string]string{}
			for _, size := range []string{"16k", "64k", "10m"} {
				want["/"+size] = s.hashes[size]
				curl(t, server, "/"+size, "--http1.1", "--limit-rate", "20M")
			}
			checkTransfers(t, w, server, 2, want)
		})
	}
}

// mover gets URLs, and puts a file to those that come after one, as "@file".
type mover func(t testing.TB, args []string)

func movers(w *watched) map[string]mover {
	return map[string]mover{
		"curl-h1": curlMover("--http1.1"),
		"curl-h2": curlMover("--http2"),
		"wget": func(t testing.TB, args []string) {
			for i, url := range args {
				flags := []string{"-q", "-O", "/dev/null", "--no-check-certificate", url}
				if i > 0 && args[i-1][0] == '@' {
					flags = append(flags, "--method=PUT", "--body-file="+args[i-1][1:], "--limit-rate=20m")
				}
				if url[0] != '@' {
					run(t, "wget", flags...)
				}
			}
		},
		"requests": func(t testing.TB, args []string) {
			runCommand(t, exec.Command("/usr/bin/python3", append([]string{"testdata/move.py"}, args...)...))
		},
		"nspr":   pieceMover("nspr"),
		"gnutls": pieceMover("gnutls"),
		"node": func(t testing.TB, args []string) {
			patient(t, w, "node", append([]string{"testdata/move.js"}, args...)...)
		},
		"go": func(t testing.TB, args []string) {
			patient(t, w, goProgram(t, "1.26.8"), append([]string{"client"}, args...)...)
		},
	}
}

// pieceMover moves by functions whose plaintext is not in one buffer of the caller.
func pieceMover(library string) mover {
	return func(t testing.TB, args []string) {
		runCommand(t, exec.Command("/usr/bin/python3", append([]string{"testdata/pieces.py", library}, args...)...))
	}
}

func curlMover(version string) mover {
	return func(t testing.TB, args []string) {
		var flags []string
		for _, a := range args {
			if a[0] == '@' {
				flags = append(flags, "-T", a[1:])
				continue
			}
			flags = append(flags, version, "-skf", "--limit-rate", "20M", "-H", "Expect:", "-o", "/dev/null", a, "--next")
		}
		run(t, "curl", flags[:len(flags)-1]...)
	}
}

// checkTransfers wants the bytes with these hashes, told n times each.
func checkTransfers(t *testing.T, w *watched, port, n int, want map[string]string) {
	t.Helper()
	moved := func(r *event.Record) bool {
		return r.HTTP != nil && int(r.Server.Port) == port && want[r.HTTP.URL] != "" && r.HTTP.Status/100 == 2
	}
	w.until(t, "the files", func() bool {
		seen := 0
		for _, r := range w.records {
			if moved(r) {
				seen++
			}
		}
		return seen >= n*len(want)
	})
	for _, r := range w.all(moved) {
		content := r.HTTP.Response.Content
		if r.HTTP.Method == "PUT" {
			content = r.HTTP.Request.Content
		}
		if content.State != event.Complete || content.SHA256 != want[r.HTTP.URL] {
			t.Errorf("%s %s: %s at the %s is %s, %d bytes; losses %v", r.HTTP.Method, r.HTTP.URL, content.Type, r.Local, content.State, content.Size, w.Stats().Losses)
		}
	}
}
