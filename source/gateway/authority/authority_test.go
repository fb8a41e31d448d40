package authority_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
)

func TestRefusals(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256 := newECDSA(t, elliptic.P256())
	for _, tt := range []struct {
		name   string
		key    crypto.Signer
		change func(*x509.Certificate)
		want   string // empty: accepted
	}{
		{"ECDSA P-256", p256, same, ""},
		{"ECDSA P-384", newECDSA(t, elliptic.P384()), same, ""},
		{"RSA 2048", newRSA(t), same, ""},
		{"RSA 1024", short, same, "RSA key of 1024 bits: at least 2048"},
		{"ECDSA P-521", newECDSA(t, elliptic.P521()), same, "on the curve P-521: only P-256 and P-384"},
		{"Ed25519", edwards, same, "of a kind that few clients accept"},
		{"a server's", p256, func(c *x509.Certificate) { c.IsCA = false }, "is not that of an authority"},
		{"no basicConstraints", p256, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false }, "is not that of an authority"},
		{"may not sign", p256, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, "keyUsage without keyCertSign"},
		{"for mail only", p256, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} }, "extendedKeyUsage without serverAuth"},
		{"for servers too", p256, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		}, ""},
		{"expired", p256, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }, "has expired on"},
		{"not valid yet", p256, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }, "is not valid before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := issue(t, nil, tt.key, tt.change)
			_, err := authority.New([]*x509.Certificate{i.cert}, i.key, now)
			checkError(t, err, tt.want)
		})
	}
}

// checkError checks what an error says, or that there is none.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted, but want an error with %q", want)
	case err != nil && !strings.Contains(err.Error(), want):
		t.Errorf("got error %q, want %q in it", err, want)
	}
}

func TestChains(t *testing.T) {
	top := root(t)
	sub := issue(t, top, newECDSA(t, elliptic.P256()), func(c *x509.Certificate) { c.Subject.CommonName = "Sub" })
	flat := issue(t, nil, newECDSA(t, elliptic.P256()), func(c *x509.Certificate) { c.Subject.CommonName, c.MaxPathLenZero = "Flat", true })
	below := issue(t, flat, newECDSA(t, elliptic.P256()), func(c *x509.Certificate) { c.Subject.CommonName = "Below" })
	old := issue(t, nil, newECDSA(t, elliptic.P256()), func(c *x509.Certificate) { c.Subject.CommonName, c.NotAfter = "Old", now.Add(-time.Hour) })
	young := issue(t, old, newECDSA(t, elliptic.P256()), func(c *x509.Certificate) { c.Subject.CommonName = "Young" })
	for _, tt := range []struct {
		name  string
		certs []*issued
		key   crypto.Signer
		want  string
	}{
		{"in order", []*issued{sub, top}, sub.key, ""},
		{"in any order", []*issued{top, sub}, sub.key, ""},
		{"without its root", []*issued{sub}, sub.key, ""},
		{"with a stranger", []*issued{sub, flat}, sub.key, `certificate "CN=Flat" issued none of the others`},
		{"key of another", []*issued{sub, top}, flat.key, "the key belongs to none of the certificates"},
		{"none", nil, sub.key, "no certificate"},
		{"deeper than its root allows", []*issued{below, flat}, below.key, "allows 0 authorities below it, and has 1"},
		{"under an expired root", []*issued{young, old}, young.key, `certificate "CN=Old" has expired`},
		{"too many", []*issued{sub, sub, sub, sub, sub, sub, sub, sub, top}, sub.key, "9 certificates"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var certs []*x509.Certificate
			for _, c := range tt.certs {
				certs = append(certs, c.cert)
			}
			a, err := authority.New(certs, tt.key, now)
			checkError(t, err, tt.want)
			if err == nil && a.Certificate() != sub.cert {
				t.Errorf("%s signs", a.Certificate().Subject)
			}
		})
	}
	if a := newAuthority(t, sub, top); a.Root() != top.cert {
		t.Errorf("the root is %s", a.Root().Subject)
	}
}

func TestTrialIsMarked(t *testing.T) {
	a, _, err := authority.NewTrial("laptop", now)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Trial() || !strings.Contains(a.String(), "Vitrine trial CA laptop") {
		t.Errorf("%s is a trial authority: %t", a, a.Trial())
	}
	if left := a.Expires().Sub(now); left > authority.TrialTime || left > authority.Renewal {
		t.Errorf("valid for %s", left)
	}
	if newAuthority(t, root(t)).Trial() {
		t.Error("an imported authority is taken for one of a trial")
	}
}

// TestSecretsStayOut prints an authority and a passphrase in every way that fmt and slog know.
func TestSecretsStayOut(t *testing.T) {
	key := newECDSA(t, elliptic.P256())
	a := newAuthority(t, issue(t, nil, key, same))
	d, err := key.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	secret := authority.Passphrase("correct horse")
	for _, v := range []any{a, secret, struct {
		A *authority.Authority
		P authority.Passphrase
	}{a, secret}, []any{a, &secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	log.Info("loaded", "authority", a, "passphrase", secret)
	for _, leaked := range []string{"horse", fmt.Sprintf("%x", "horse"), fmt.Sprintf("%x", d[:8]), fmt.Sprintf("%d", d[0:4]), fmt.Sprint([]byte("horse"))} {
		if strings.Contains(out.String(), strings.Trim(leaked, "[]")) {
			t.Errorf("%q is in %s", leaked, out.String())
		}
	}
}
