//go:build cgo

package authority_test

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// place is the URI of a key in the token, whose PIN is in the file.
func place(h *testkit.SoftHSM, object, pin string) token.Place {
	return token.Place(fmt.Sprintf("pkcs11:token=%s;object=%s?module-path=%s&pin-source=%s", url.PathEscape(h.Label), object, h.Module, pin))
}

// newKey makes a key in the token, and returns its place. The file of the PIN is beside it.
func newKey(t *testing.T, h *testkit.SoftHSM, kind, id string) (token.Place, crypto.Signer) {
	t.Helper()
	object := "key-" + id
	h.Generate(t, kind, object, id)
	p := place(h, object, write(t, t.TempDir(), "pin", []byte(h.PIN+"\n"), 0o600))
	u, err := token.Parse(p)
	if err != nil {
		t.Fatal(err)
	}
	k, err := token.Open(u, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return p, k
}

// TestKeysInTokens has tokens hold what clients accept and what they do not.
func TestKeysInTokens(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	for id, tt := range []struct{ kind, want string }{
		{"EC:prime256v1", ""}, {"EC:secp384r1", ""}, {"rsa:2048", ""},
		{"rsa:1024", "RSA key of 1024 bits: at least 2048"},
		{"EC:secp521r1", "on the curve P-521: only P-256 and P-384"},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			p, key := newKey(t, h, tt.kind, fmt.Sprintf("0%d", id+1))
			i := issue(t, nil, key, same)
			a, err := authority.FromToken(inPEM(i), string(p), []string{h.Module}, now)
			checkError(t, err, tt.want)
			if err != nil {
				return
			}
			defer a.Close()
			m, err := authority.NewMint(a, authority.DefaultCache, now)
			if err != nil {
				t.Fatal(err)
			}
			for _, leafKey := range []authority.KeyType{authority.ECDSA, authority.RSA} {
				if err := verify(i, leaf(t, m, origin(t, same), flow.NoFault, leafKey), "shop.example"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestTokensAreRefusedWithTheReason(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	p, key := newKey(t, h, "EC:prime256v1", "01")
	mine, other := inPEM(issue(t, nil, key, same)), inPEM(root(t))
	_, err := authority.FromToken(other, string(p), []string{h.Module}, now)
	checkError(t, err, "the key belongs to none of the certificates")
	_, err = authority.FromToken(inPEM(issue(t, nil, key, func(c *x509.Certificate) { c.IsCA = false })), string(p), []string{h.Module}, now)
	checkError(t, err, "is not that of an authority")
	_, err = authority.FromToken(mine, string(place(h, "key-01", "pin")), []string{h.Module}, now)
	checkError(t, err, "give the absolute path")
	_, err = authority.FromToken(mine, string(p), []string{"/usr/lib/other.so"}, now)
	checkError(t, err, `is none of those that the configuration allows, which are ["/usr/lib/other.so"]`)
	dir := t.TempDir()
	f := authority.Files{Dir: dir, Certificate: "ca.pem", Key: place(h, "key-01", "pin")}
	write(t, dir, f.Certificate, mine, 0o644)
	write(t, dir, "pin", []byte(h.PIN), 0o640)
	_, err = authority.Load(f, now)
	checkError(t, err, "pin can be read by others (mode 0640): chmod 600 it")
	if err := os.Chmod(dir+"/pin", 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := authority.Load(f, now)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
}

// TestWrongPINIsTriedOnce has two keys of a token ask for signatures with a PIN that it refuses: the second one leaves it alone.
func TestWrongPINIsTriedOnce(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	_, key := newKey(t, h, "EC:prime256v1", "01")
	u, err := token.Parse(token.Place(strings.Replace(string(place(h, "key-01", "0000")), "pin-source", "pin-value", 1)))
	if err != nil {
		t.Fatal(err)
	}
	key.(*token.Key).Close() // who is logged in already needs no PIN
	checkError(t, u.Known(key.Public(), os.ReadFile).Check(), "the token refuses the PIN")
	if err := u.Known(key.Public(), os.ReadFile).Check(); err == nil || !strings.Contains(err.Error(), "not tried again") {
		t.Errorf("told %v", err)
	}
	if _, err := token.Open(u, os.ReadFile); err == nil || strings.Contains(err.Error(), "not tried again") {
		t.Errorf("told %v when a person asks", err)
	}
}

// TestPlaceOfKeyIsSealed keeps an authority whose key lies in a token, and has it come back while the token is away.
func TestPlaceOfKeyIsSealed(t *testing.T) {
	h := testkit.NewSoftHSM(t)
	_, key := newKey(t, h, "EC:prime256v1", "01")
	i := issue(t, nil, key, same)
	a, err := authority.FromToken(inPEM(i), strings.Replace(string(place(h, "key-01", url.QueryEscape(h.PIN))), "pin-source", "pin-value", 1), []string{h.Module}, now)
	if err != nil {
		t.Fatal(err)
	}
	passphrase := authority.Passphrase("horse")
	sealed, err := a.Sealed(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	key.(*token.Key).Close()
	_, err = authority.FromPEM(inPEM(i), sealed, passphrase, now) // what people import is no place of ours
	checkError(t, err, "no private key")
	_, err = authority.Unseal(inPEM(i), sealed, authority.Passphrase("donkey"), []string{h.Module}, now)
	checkError(t, err, "the passphrase does not open the key")

	_, err = authority.Unseal(inPEM(i), sealed, passphrase, nil, now)
	checkError(t, err, "is none of those that the configuration allows")

	h.TakeOut(t)
	b, err := authority.Unseal(inPEM(i), sealed, passphrase, []string{h.Module}, now)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	checkError(t, b.Check(), "open the token of pkcs11:token=vitrine+test;object=key-01")
	if b.Fault() == nil || fmt.Sprintf("%v %#v", b, b) != b.String()+" "+b.String() {
		t.Errorf("fault %v, printed as %#v", b.Fault(), b)
	}
	h.PutBack(t)
	m, err := authority.NewMint(b, authority.DefaultCache, now)
	if err != nil {
		t.Fatal(err)
	}
	for o, end := origin(t, same), time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) { // it is left alone for a while
		c, err := m.Leaf(o, flow.NoFault, authority.ECDSA)
		if err == nil && b.Fault() == nil {
			if err := verify(i, c, "shop.example"); err != nil {
				t.Error(err)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal(err, b.Fault())
		}
	}
}
