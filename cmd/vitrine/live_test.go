package main_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// TestLive watches curl and nginx talk over a veth pair: what was said is found within three seconds, with its keys decrypted, without them
// with the reason.
func TestLive(t *testing.T) {
	shop := newShop(t)
	data := t.TempDir()
	up := startUpIn(t, shop.server, data, "--iface", shop.server.Interface)
	shop.keyLog = filepath.Join(data, "keylog", "curl.log") // followed without being asked for

	shop.curl(t, "https://shop.example/x.json?with=key")
	got := up.await(t, `kind:http and http.url:"/x.json?with=key"`)
	if got.Decryption.State != "yes" || got.Decryption.Source != "keys" || got.HTTP.Status != 200 || got.TLS.SNI != "shop.example" {
		t.Errorf("with its key: got %+v, status %d, %+v", got.Decryption, got.HTTP.Status, got.TLS)
	}
	if body := got.HTTP.Response; body.SHA256 != hash([]byte(`{"a":1}`)) || body.State != event.Complete {
		t.Errorf("the response's body has %d bytes, state %s, hash %s", body.Size, body.State, body.SHA256)
	}

	cmd := shop.client.Command(t.Context(), testkit.Need(t, "curl"), "-sS", "-k", "-o", os.DevNull, "--max-time", "30",
		"--resolve", "secret.example:443:"+shop.server.IPv4.String(), "https://secret.example/")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("curl: %v: %s", err, out)
	}
	got = up.await(t, `kind:tls and tls.sni:secret.example`)
	if got.Decryption.State != "no" || got.Decryption.Reason != "no_key" {
		t.Errorf("without its key: got %+v", got.Decryption)
	}
	up.stop(t)
}

// startUpIn runs vitrine up inside a network namespace, so that it sees that namespace's interfaces.
func startUpIn(t testing.TB, ns *testkit.Namespace, dir string, args ...string) *instance {
	t.Helper()
	outside := upCommand(t, dir, args...)
	cmd := ns.Command(context.WithoutCancel(t.Context()), outside.Path, outside.Args[1:]...)
	cmd.Env = outside.Env
	i := startInstance(t, dir, cmd)
	i.namespace = ns
	return i
}

// await searches until there is an event, which must take three seconds at most.
func (i *instance) await(t testing.TB, query string) *event.Record {
	t.Helper()
	start, watch := time.Now(), testkit.StartWatch()
	for {
		cmd := i.namespace.Command(t.Context(), vitrine(t), "search", query, "-o", "json")
		cmd.Env = append(os.Environ(), "VITRINE_DATA="+i.dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		took := time.Since(start)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, ok := strings.Cut(string(out), "\n"); ok {
			t.Logf("%s: found after %s", query, took.Round(time.Millisecond))
			watch.Within(t, 3*time.Second, query)
			r := new(event.Record)
			if err := json.Unmarshal([]byte(first), r); err != nil {
				t.Fatal(err)
			}
			return r
		}
		if took > time.Minute {
			t.Fatalf("%s: nothing came in %s", query, took)
		}
	}
}
