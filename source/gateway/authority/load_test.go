package authority_test

import (
	"crypto/elliptic"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// makeCA has OpenSSL make an authority in ca.pem and ca.key.
func makeCA(t testing.TB, keyArgs ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	openssl(t, dir, append([]string{"genpkey", "-out", "ca.key"}, keyArgs...)...)
	openssl(t, dir, "req", "-x509", "-key", "ca.key", "-out", "ca.pem", "-subj", "/CN=Made by OpenSSL", "-days", "30",
		"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
	return dir
}

// TestKeysOfOpenSSL reads the forms in which OpenSSL writes keys.
func TestKeysOfOpenSSL(t *testing.T) {
	ec := makeCA(t, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	rsa := makeCA(t, "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
	for _, tt := range []struct {
		name, dir string
		convert   []string
	}{
		{"PKCS#8", ec, []string{"pkey"}},
		{"PKCS#8 of RSA", rsa, []string{"pkey"}},
		{"PKCS#1", rsa, []string{"rsa", "-traditional"}},
		{"SEC 1", ec, []string{"ec"}},
		{"scrypt", ec, []string{"pkcs8", "-topk8", "-scrypt", "-passout", "pass:horse"}},
		{"PBKDF2", ec, []string{"pkcs8", "-topk8", "-passout", "pass:horse"}},
		{"PBKDF2 with SHA-1", rsa, []string{"pkcs8", "-topk8", "-v2", "aes128", "-v2prf", "hmacWithSHA1", "-passout", "pass:horse"}},
		{"PBKDF2 with SHA-512", rsa, []string{"pkcs8", "-topk8", "-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512", "-passout", "pass:horse"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append(tt.convert, "-in", "ca.key", "-out", "other.key")
			openssl(t, tt.dir, args...)
			cert, key := read(t, tt.dir, "ca.pem"), read(t, tt.dir, "other.key")
			if _, err := authority.FromPEM(cert, key, authority.Passphrase("horse"), now); err != nil {
				t.Error(err)
			}
			if tt.convert[len(tt.convert)-1] != "pass:horse" {
				return
			}
			_, err := authority.FromPEM(cert, key, nil, now)
			checkError(t, err, "the key is encrypted: give its passphrase")
			_, err = authority.FromPEM(cert, key, authority.Passphrase("donkey"), now)
			checkError(t, err, "the passphrase does not open the key")
		})
	}
}

// TestOpenSSLOpensSealedKeys has OpenSSL read what Seal wrote.
func TestOpenSSLOpensSealedKeys(t *testing.T) {
	dir := t.TempDir()
	i := root(t)
	for _, passphrase := range []string{"", "correct horse"} {
		text, err := authority.Seal(i.key, authority.Passphrase(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "sealed.key", text, 0o600)
		write(t, dir, "ca.pem", inPEM(i), 0o600)
		pub := openssl(t, dir, "pkey", "-in", "sealed.key", "-passin", "pass:"+passphrase, "-pubout")
		if want := openssl(t, dir, "x509", "-in", "ca.pem", "-noout", "-pubkey"); pub != want {
			t.Errorf("OpenSSL opens it as\n%s, want\n%s", pub, want)
		}
		if _, err := authority.FromPEM(inPEM(i), text, authority.Passphrase(passphrase), now); err != nil {
			t.Error(err)
		}
	}
}

func TestPKCS12OfOpenSSL(t *testing.T) {
	dir := makeCA(t, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	openssl(t, dir, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "sub.key")
	openssl(t, dir, "req", "-new", "-key", "sub.key", "-subj", "/CN=Sub", "-out", "sub.csr")
	write(t, dir, "ext", []byte("basicConstraints=critical,CA:TRUE,pathlen:0\nsubjectKeyIdentifier=hash\n"), 0o600)
	openssl(t, dir, "x509", "-req", "-in", "sub.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "20", "-extfile", "ext", "-out", "sub.pem")
	openssl(t, dir, "pkcs12", "-export", "-inkey", "sub.key", "-in", "sub.pem", "-certfile", "ca.pem", "-passout", "pass:horse", "-out", "sub.p12")
	secret := write(t, dir, "passphrase", []byte("horse\n"), 0o600)

	file := filepath.Join(dir, "sub.p12")
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := authority.Load(authority.Files{Certificate: file, Passphrase: secret}, now)
	if err != nil {
		t.Fatal(err)
	}
	if a.String() != "CN=Sub" || a.Root().Subject.String() != "CN=Made by OpenSSL" {
		t.Errorf("%s signs, under %s", a, a.Root().Subject)
	}
	_, err = authority.Load(authority.Files{Certificate: file}, now)
	checkError(t, err, "give its passphrase")
	_, err = authority.FromPKCS12(read(t, dir, "sub.p12"), authority.Passphrase("donkey"), now)
	checkError(t, err, "the passphrase does not open the key")
	_, err = authority.FromPKCS12([]byte("nonsense"), nil, now)
	checkError(t, err, "read PKCS#12")
	_, err = authority.Load(authority.Files{Certificate: file, Passphrase: secret}, now.Add(25*24*time.Hour))
	checkError(t, err, `certificate "CN=Sub" has expired`)
}

func TestChineseAlgorithmsAreRefusedByName(t *testing.T) {
	dir := t.TempDir()
	openssl(t, dir, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", "ca.key")
	openssl(t, dir, "req", "-x509", "-key", "ca.key", "-sm3", "-out", "ca.pem", "-subj", "/CN=SM", "-addext", "basicConstraints=CA:TRUE")
	_, err := authority.FromPEM(read(t, dir, "ca.pem"), read(t, dir, "ca.key"), nil, now)
	checkError(t, err, "it uses SM algorithms")
	other := makeCA(t, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	_, err = authority.FromPEM(read(t, other, "ca.pem"), read(t, dir, "ca.key"), nil, now)
	checkError(t, err, "it uses SM algorithms")
}

func TestFilesThatOthersReadAreRefused(t *testing.T) {
	dir, i := t.TempDir(), root(t)
	key, err := authority.Seal(i.key, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := authority.Files{Certificate: write(t, dir, "ca.pem", inPEM(i), 0o644), Key: token.Place(write(t, dir, "ca.key", key, 0o640))}
	_, err = authority.Load(f, now)
	checkError(t, err, "can be read by others (mode 0640): chmod 600 it")
	if err := os.Chmod(string(f.Key), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = authority.Load(f, now)
	checkError(t, err, "")
	f.Passphrase = write(t, dir, "passphrase", []byte("x"), 0o604)
	_, err = authority.Load(f, now)
	checkError(t, err, "read passphrase")
	f.Passphrase = filepath.Join(dir, "none")
	_, err = authority.Load(f, now)
	checkError(t, err, "no such file")
}

// FuzzFromPEM reads whatever people may take for an authority.
func FuzzFromPEM(f *testing.F) {
	i := issue(f, nil, newECDSA(f, elliptic.P256()), same)
	sealed, err := authority.Seal(i.key, authority.Passphrase("horse"))
	if err != nil {
		f.Fatal(err)
	}
	open, err := authority.Seal(i.key, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(inPEM(i), sealed, []byte("horse"))
	f.Add(inPEM(i), open, []byte(nil))
	f.Fuzz(func(t *testing.T, certs, key, passphrase []byte) {
		a, err := authority.FromPEM(certs, key, passphrase, now)
		if err == nil && a.Certificate() == nil {
			t.Error("an authority without a certificate")
		}
		_, _ = authority.FromPKCS12(key, passphrase, now)
	})
}
