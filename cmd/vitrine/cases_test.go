package main_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the events of the cases anew")

// TestCases replays each scenario below testdata/cases and compares all of its events.
func TestCases(t *testing.T) {
	dirs, err := filepath.Glob("../../testdata/cases/*/traffic.pcap*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("there are no cases: %v", err)
	}
	for _, capture := range dirs {
		dir := filepath.Dir(capture)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(dir, "README.md")); err != nil {
				t.Errorf("a case must say where its capture is from: %v", err)
			}
			r := runVitrine(t, nil, "replay", "--keylog", filepath.Join(dir, "keys.log"), "-o", "json", capture)
			if r.status != 0 || r.stderr != "" {
				t.Fatalf("%+v", r)
			}
			want := filepath.Join(dir, "events.want")
			if *update {
				if err := os.WriteFile(want, []byte(r.stdout), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(objects(t, string(text)), objects(t, r.stdout)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// objects decodes one JSON object a line.
func objects(t testing.TB, lines string) (out []map[string]any) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var o map[string]any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		out = append(out, o)
	}
	return out
}
