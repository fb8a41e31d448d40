package token_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q in it", err, want)
	}
}

func TestURIs(t *testing.T) {
	const module = "module-path=/m.so"
	for _, tt := range []struct{ name, text, want, wrong string }{
		{"label", "pkcs11:token=my%20ca;object=key?" + module + "&pin-value=S3cr3t", "pkcs11:token=my+ca;object=key", ""},
		{"all in the path", "pkcs11:serial=1a;id=%01%ff;type=private;module-path=/m.so;pin-source=pin", "pkcs11:serial=1a;id=01ff", ""},
		{"hexadecimal id", "PKCS11:slot-id=3;id=0a10?" + module, "pkcs11:slot-id=3;id=0a10", ""},
		{"another kind", "awskms:key-id=1", "", "other kinds of key stores are not supported"},
		{"no module", "pkcs11:token=a;object=b", "", "needs module-path"},
		{"relative module", "pkcs11:token=a;object=b?module-path=m.so", "", "the absolute path of the library"},
		{"no token", "pkcs11:object=b?" + module, "", "must name the token"},
		{"two tokens", "pkcs11:token=a;serial=2;object=b?" + module, "", "must name the token, by one of"},
		{"no key", "pkcs11:token=a?" + module, "", "must name the key"},
		{"public", "pkcs11:token=a;object=b;type=public?" + module, "", "the private key is needed"},
		{"two PINs", "pkcs11:token=a;object=b?" + module + "&pin-value=1&pin-source=2", "", "both pin-source and pin-value"},
		{"twice", "pkcs11:token=a;object=b;object=c?" + module, "", `attribute "object" of the key's URI must have one value`},
		{"empty", "pkcs11:token=a;object=b?" + module + "&pin-value=", "", `attribute "pin-value" of the key's URI must have one value`},
		{"unknown", "pkcs11:token=a;object=b;colour=red?" + module, "", "an attribute that is not known"},
		{"semicolon", "pkcs11:token=a;object=b?" + module + ";pin-value=1", "", "separate attributes with &"},
		{"hash", "pkcs11:token=a;object=b?" + module + "&pin-value=1#2", "", "percent-encode what is special"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := token.Parse(token.Place(tt.text))
			if tt.wrong != "" {
				checkError(t, err, tt.wrong)
			} else if err != nil || u.String() != tt.want {
				t.Errorf("got %v, %v, want %s", u, err, tt.want)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	for text, want := range map[token.Place]bool{
		"ca.key": false, "/etc/pkcs11/ca.key": false, "pkcs11.key": false, "a:b": false, "": false,
		"pkcs11:token=a": true, " PKCS11:token=a": true, "cloudkms:projects/a": true, "token=a?pin-value=1": true,
	} {
		if text.IsURI() != want {
			t.Errorf("%q is a URI: %t", string(text), !want)
		}
	}
}

// FuzzParse checks that a PIN never shows, however wrong the URI around it is.
func FuzzParse(f *testing.F) {
	const secret = "zQ7!secret"
	f.Add("pkcs11:token=a;object=b?module-path=/m.so&pin-value=", "")
	f.Add("pkcs11:token=a;pin%2dvalue=", "&object=b?module-path=/m.so")
	f.Add("pkcs11:?pin-value=x&", "=1")
	f.Add("pkcs11:token=a?pin-value=%", "#")
	f.Fuzz(func(t *testing.T, before, behind string) {
		p := token.Place(before + secret + behind)
		u, err := token.Parse(p)
		if err == nil && !strings.Contains(strings.ToLower(before), "pin") {
			return // it is part of a name, and no secret
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("key", "place", p, "uri", u, "err", err)
		shown := log.String()
		if p.IsURI() {
			shown += fmt.Sprintf("%v %s %q %+v %#v", p, p, p, p, p)
		}
		if err == nil {
			shown += fmt.Sprintf("%v %s %#v %#v", u, u, u, u.Known(nil, nil))
		}
		if p.IsURI() && strings.Contains(shown, secret) {
			t.Errorf("the PIN shows: %s", shown)
		}
	})
}
