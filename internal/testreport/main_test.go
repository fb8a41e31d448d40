package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	good := `{"numPassedTests":4,"numFailedTests":0,"numPendingTests":1,"success":true}`
	for _, tc := range []struct {
		name, events, web string
		want              string
		ok                bool
	}{
		{"all pass", `{"Action":"pass","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p"}`, good, "5 passed, 0 failed, 1 skipped", true},
		{"one fails", `{"Action":"output","Package":"p","Test":"A","Output":"boom\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"A"}`, good, "FAIL  p A\nboom", false},
		{"a package does not build", `{"Action":"fail","Package":"p"}`, good, "failed   p\n4 passed, 1 failed", false},
		{"a skip tells why", `{"Action":"output","Package":"p","Test":"A","Output":"    a_test.go:1: no tshark\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"A"}`, good, "skipped  p A: a_test.go:1: no tshark", true},
		{"the console fails", ``, `{"numPassedTests":4,"numFailedTests":2,"success":false}`, "4 passed, 2 failed", false},
		{"the console does not load", ``, `{"numPassedTests":4,"numFailedTests":0,"success":false}`, "4 passed, 1 failed", false},
		{"no result of the console", ``, `oops`, "0 passed, 1 failed", false},
		{"nothing ran", ``, `{"success":true}`, "0 passed, 0 failed", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "web.json")
			if err := os.WriteFile(path, []byte(tc.web), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			r := &report{out: &out, output: map[string][]string{}}
			r.web(path)
			r.goTests(strings.NewReader(tc.events))
			ok := r.finish()
			if got := strings.ReplaceAll(out.String(), path, "WEB"); ok != tc.ok || !strings.Contains(got, tc.want) {
				t.Errorf("ok is %v, printed:\n%swant %v and %q", ok, got, tc.ok, tc.want)
			}
		})
	}
}
