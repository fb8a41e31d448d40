//go:build cgo

package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// place is the URI of a key, with the PIN that is given.
func place(h *testkit.SoftHSM, object, pin string) token.Place {
	return token.Place(fmt.Sprintf("pkcs11:token=%s;object=%s?module-path=%s&pin-value=%s", url.PathEscape(h.Label), object, h.Module, url.QueryEscape(pin)))
}

func open(t *testing.T, p token.Place) (*token.Key, error) {
	t.Helper()
	u, err := token.Parse(p)
	if err != nil {
		t.Fatal(err)
	}
	k, err := token.Open(u, os.ReadFile)
	if err == nil {
		t.Cleanup(k.Close)
	}
	return k, err
}

var digest = sha256.Sum256([]byte("leaf"))

// checkSigns has the key sign, and checks the signature.
func checkSigns(t *testing.T, k *token.Key) {
	t.Helper()
	signature, err := k.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Error(err)
		return
	}
	ok := false
	switch p := k.Public().(type) {
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(p, digest[:], signature)
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(p, crypto.SHA256, digest[:], signature) == nil
	}
	if !ok {
		t.Error("the signature is wrong")
	}
}

func TestKeysSign(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	for i, kind := range []string{"EC:prime256v1", "EC:secp384r1", "rsa:2048"} {
		object := fmt.Sprintf("key-%d", i)
		h.Generate(t, kind, object, fmt.Sprintf("0a%d0", i))
		k, err := open(t, place(h, object, h.PIN))
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 20 { // more than may be in the token at once
			all.Go(func() { checkSigns(t, k) })
		}
		all.Wait()
	}
	byID := strings.Replace(string(place(h, "key-0", h.PIN)), "object=key-0", "id=0a00", 1)
	k, err := open(t, token.Place(byID))
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, k)
}

func TestPINSource(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	h.Generate(t, "EC:prime256v1", "key", "01")
	file := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(file, []byte(h.PIN+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(place(h, "key", "")), "&")
	k, err := open(t, token.Place(text+"&pin-source=file:"+file))
	if err != nil {
		t.Fatal(err)
	}
	checkSigns(t, k)
	_, err = open(t, token.Place(text+"&pin-source="+file+".not"))
	checkError(t, err, "read the token's PIN: open "+file+".not: no such file")
}

func TestReasons(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	h.Generate(t, "EC:prime256v1", "key", "01")
	right := string(place(h, "key", h.PIN))
	for _, tt := range []struct{ name, from, to, want string }{
		{"wrong PIN", url.QueryEscape(h.PIN), "4711", "open the token of pkcs11:token=vitrine+test;object=key: the token refuses the PIN (pkcs11: 0xA0: CKR_PIN_INCORRECT)"},
		{"no token", "token=vitrine", "token=other", "could not find PKCS#11 token"},
		{"no key", "object=key", "object=other", "was not found"},
		{"no module", "softhsm2.so", "softhsm3.so", "find the token's module"},
		{"no library", h.Module, "/etc/passwd", "failed to open module"},
		{"no PIN", "&pin-value=" + url.QueryEscape(h.PIN), "", "without pin-source or pin-value, only what is public in it is seen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(right, tt.from, tt.to, 1)
			if text == right {
				t.Fatal("nothing is wrong")
			}
			_, err := open(t, token.Place(text))
			checkError(t, err, tt.want)
		})
	}
}

// signsAgain waits until the key signs, or fails in the way that is wanted.
func signsAgain(t *testing.T, k *token.Key, want string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		_, err := k.Sign(nil, digest[:], crypto.SHA256)
		if err == nil && want == "" || err != nil && want != "" && strings.Contains(err.Error(), want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("got error %v, want %q in it", err, want)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestTokenComesBack takes the token out, and puts it back, for a key in use and for one that is known and was not there at first. Where
// another key of the module lies idle, that does not stand in the way for long.
func TestTokenComesBack(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	h.Generate(t, "EC:prime256v1", "key", "01")
	first, err := open(t, place(h, "key", h.PIN))
	if err != nil {
		t.Fatal(err)
	}
	known := first.URI().Known(first.Public(), os.ReadFile)
	t.Cleanup(known.Close)
	first.Keep(100 * time.Millisecond)
	for _, k := range []*token.Key{first, known} {
		var told []error
		k.Watch(func(err error) { told = append(told, err) })
		h.TakeOut(t)
		_, err = k.Sign(nil, digest[:], crypto.SHA256)
		checkError(t, err, "open the token of pkcs11:token=vitrine+test;object=key")
		checkError(t, k.Fault(), "open the token of")
		h.PutBack(t)
		signsAgain(t, k, "")
		checkSigns(t, k)
		if k.Fault() != nil || len(told) != 2 || told[0] == nil || told[1] != nil {
			t.Errorf("told %v, then %v", told, k.Fault())
		}
	}
}

// TestAnotherKeyIsRefused has another key take the place of the one that was known.
func TestAnotherKeyIsRefused(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	h.Generate(t, "EC:prime256v1", "key", "01")
	h.Generate(t, "EC:prime256v1", "other", "02")
	k, err := open(t, place(h, "key", h.PIN))
	if err != nil {
		t.Fatal(err)
	}
	u, err := token.Parse(place(h, "other", h.PIN))
	if err != nil {
		t.Fatal(err)
	}
	checkError(t, u.Known(k.Public(), os.ReadFile).Check(), "is another one than it was")
}

// TestRefusedPINIsNotTriedAgain has the PIN's file hold a wrong one, and then the right one.
func TestRefusedPINIsNotTriedAgain(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	h.Generate(t, "EC:prime256v1", "key", "01")
	right, err := open(t, place(h, "key", h.PIN))
	if err != nil {
		t.Fatal(err)
	}
	right.Close()
	u, err := token.Parse(token.Place(strings.Replace(string(place(h, "key", "x")), "pin-value=x", "pin-source=pin", 1)))
	if err != nil {
		t.Fatal(err)
	}
	pin := "4711"
	k := u.Known(right.Public(), func(string) ([]byte, error) { return []byte(pin), nil })
	t.Cleanup(k.Close)
	_, err = k.Sign(nil, digest[:], crypto.SHA256)
	checkError(t, err, "CKR_PIN_INCORRECT")
	signsAgain(t, k, "this one is not tried again")
	pin = h.PIN
	signsAgain(t, k, "")
}
