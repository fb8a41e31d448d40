package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
)

// TestLogsTellNothingThatWasSaid imports decrypted traffic into an instance that logs all it can, and searches its log for what
// was said and for the keys.
func TestLogsTellNothingThatWasSaid(t *testing.T) {
	const dir = "../../testdata/cases/tls13-http1/"
	read := func(name string) []byte {
		b, err := os.ReadFile(dir + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Setenv("VITRINE_LOG", "debug")
	up := startUp(t, t.TempDir())
	id := up.importCapture(t, read("traffic.pcapng"), read("keys.log"))
	if state, message := up.waitImport(t, id); state != "done" {
		t.Fatalf("the import is %s: %s", state, message)
	}
	found := up.search(t, "import:"+id+" decrypted:yes kind:http", "--since", "2026-01-01T00:00:00Z", "-o", "json")
	if n := strings.Count(found.stdout, "\n"); n != 2 {
		t.Fatalf("%d transactions were found, want 2: %+v", n, found)
	}
	up.stop(t)

	log := up.stderr.Bytes()
	if len(log) == 0 {
		t.Fatal("nothing was logged at all")
	}
	for what, secret := range said(t, read("events.want"), read("keys.log")) {
		if i := bytes.Index(log, []byte(secret)); i >= 0 {
			t.Errorf("the log tells of %s: ...%s", what, log[max(0, i-200):min(len(log), i+100)])
		}
	}
}

// said returns what must not be logged: pieces of the plaintext and of the keys, by their name.
func said(t testing.TB, events, keyLog []byte) map[string]string {
	t.Helper()
	out := map[string]string{}
	for line := range bytes.Lines(events) {
		var r event.Record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		if h := r.HTTP; h != nil {
			out["a URL"], out["a user agent"], out["a request body"], out["a header"] = h.URL, h.UserAgent, string(h.Request.Body), h.Request.Headers[1]
			out["a response body"] = string(h.Response.Body[:20])
		}
	}
	for line := range strings.Lines(string(keyLog)) {
		if f := strings.Fields(line); len(f) == 3 {
			out["the secret "+f[0]] = f[2]
		}
	}
	if len(out) < 8 {
		t.Fatalf("there is too little to look for: %q", out)
	}
	for what, secret := range out {
		if secret == "" {
			t.Fatalf("%s is empty", what)
		}
	}
	return out
}
