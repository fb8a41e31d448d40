//go:build cgo

package server

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/gateways"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// TestAuthorityInToken imports an authority whose key lies in a token, and puts a policy with it in force after the token was taken out.
func TestAuthorityInToken(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	h.Generate(t, "EC:prime256v1", "ca", "01")
	uri := fmt.Sprintf("pkcs11:token=%s;object=ca?module-path=%s&pin-value=", url.PathEscape(h.Label), h.Module)
	in := api.NewAuthority{Name: "hsm", PEM: certificateOf(t, token.Place(uri+url.QueryEscape(h.PIN)))}
	f := &steered{}
	var dir string
	s := open(t, func(c *Config, d *Deps) {
		var err error
		dir, d.Gateway = c.Dir, f
		d.Book, err = gateways.OpenBook(d.State, dir, []string{h.Module})
		must(t, err)
	})
	admin := s.admin()
	for wrong, want := range map[string]string{
		uri + "4711": "the token refuses the PIN",
		strings.Replace(uri, "softhsm2", "evil", 1) + "1":          "is none of those that the configuration allows",
		strings.Replace(uri, "pin-value=", "pin-source=ca.pin", 1): "give the absolute path",
		"/etc/shadow": "the URI of the key cannot be read",
	} {
		in.KeyURI = wrong
		if a := admin.must(422, http.MethodPost, "/authorities", in); !strings.Contains(a.detail(), want) {
			t.Errorf("%s: %s, want %q", wrong, a.body, want)
		}
	}
	in.KeyURI = uri + url.QueryEscape(h.PIN)
	if a := admin.must(200, http.MethodPost, "/authorities", in); strings.Contains(a.body, "pkcs11") {
		t.Errorf("the place of the key is told: %s", a.body)
	}
	files, err := filepath.Glob(filepath.Join(dir, "state.db*"))
	must(t, err)
	for _, file := range files {
		if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte(h.PIN)) || bytes.Contains(text, []byte(h.Module)) {
			t.Errorf("%s: %v; the place of the key is in it as it is", file, err)
		}
	}

	h.TakeOut(t)
	p := officePolicy("office")
	p.Authority, p.Disabled = "hsm", new(false)
	admin.must(200, http.MethodPost, "/policies", p)
	a := f.orders.Authorities["hsm"]
	if a == nil || len(f.enabled()) != 1 {
		t.Fatal("the policy is not in force")
	}
	defer a.Close()
	if a.Check() == nil || a.Fault() == nil {
		t.Error("nothing is wrong without the token")
	}
	h.PutBack(t)
	for end := time.Now().Add(time.Minute); a.Check() != nil; time.Sleep(50 * time.Millisecond) { // it is left alone for a while
		if time.Now().After(end) {
			t.Fatal(a.Fault())
		}
	}
	book, err := gateways.OpenBook(s.state, dir, nil) // the same state, under a configuration that allows no module
	must(t, err)
	orders, err := book.Current(t.Context(), time.Now())
	must(t, err)
	if len(orders.Faults) != 1 || !strings.Contains(orders.Faults[0], "is none of those that the configuration allows") {
		t.Errorf("faults are %q", orders.Faults)
	}
}

// certificateOf makes the certificate of an authority with a key in a token.
func certificateOf(t *testing.T, key token.Place) string {
	t.Helper()
	u, err := token.Parse(key)
	must(t, err)
	k, err := token.Open(u, os.ReadFile)
	must(t, err)
	defer k.Close()
	return testkit.SelfSigned(t, k)
}
