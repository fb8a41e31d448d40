package ech_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/ech"
)

func newKey(t testing.TB, name string) *ech.Key {
	t.Helper()
	k, err := ech.NewKey(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newKeys(t testing.TB, list ...*ech.Key) *ech.Keys {
	t.Helper()
	k, err := ech.NewKeys(list)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// recorder keeps what is written, and has nothing to read.
type recorder struct {
	net.Conn
	bytes.Buffer
}

func (r *recorder) Read([]byte) (int, error)    { return 0, io.EOF }
func (r *recorder) Write(b []byte) (int, error) { return r.Buffer.Write(b) }
func (r *recorder) Close() error                { return nil }

// helloOf is what a client says first.
func helloOf(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	r := new(recorder)
	if err := tls.Client(r, cfg).Handshake(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return r.Bytes()
}

func TestOpen(t *testing.T) {
	current, former, other := newKey(t, "gateway.example"), newKey(t, "old.example"), newKey(t, "gateway.example")
	keys := newKeys(t, current, former)
	for _, k := range []*ech.Key{current, former} {
		hello := helloOf(t, &tls.Config{ServerName: "inner.example", NextProtos: []string{"h2"}, EncryptedClientHelloConfigList: k.List()})
		if bytes.Contains(hello, []byte("inner.example")) || !bytes.Contains(hello, []byte(k.Name)) {
			t.Error("the hello hides nothing")
		}
		in := keys.Open(hello)
		if in == nil || in.ServerName != "inner.example" || !slices.Equal(in.SupportedProtos, []string{"h2"}) || slices.Contains(in.SupportedVersions, tls.VersionTLS12) ||
			len(in.SupportedCurves) == 0 || len(in.SignatureSchemes) == 0 || len(in.CipherSuites) == 0 {
			t.Fatalf("opened %+v", in)
		}
		for _, at := range []int{60, len(hello) / 2, len(hello) - 1} { // the whole of it is authenticated
			forged := bytes.Clone(hello)
			forged[at] ^= 1
			if keys.Open(forged) != nil {
				t.Errorf("opened with byte %d changed", at)
			}
		}
		if keys.Open(hello[:len(hello)-1]) != nil {
			t.Error("opened though it is cut")
		}
	}
	for name, cfg := range map[string]*tls.Config{
		"another key": {ServerName: "inner.example", EncryptedClientHelloConfigList: other.List()}, "in the open": {ServerName: "inner.example"},
	} {
		if in := keys.Open(helloOf(t, cfg)); in != nil {
			t.Errorf("%s: opened %+v", name, in)
		}
	}
	var none *ech.Keys
	if none.Open(helloOf(t, &tls.Config{ServerName: "x.example"})) != nil || none.TLS() != nil || none.Names() != nil || newKeys(t) != nil {
		t.Error("no keys open something")
	}
	if n := keys.Names(); !slices.Equal(n, []string{"gateway.example", "old.example"}) {
		t.Errorf("names %q", n)
	}
}

func TestFace(t *testing.T) {
	keys, now := newKeys(t, newKey(t, "gateway.example"), newKey(t, "old.example")), time.Now()
	first, err := keys.Face(now)
	if err != nil || first.VerifyHostname("old.example") != nil || first.VerifyHostname("gateway.example") != nil {
		t.Fatalf("%v, %v", first, err)
	}
	if again, _ := keys.Face(now.Add(28 * 24 * time.Hour)); again != first {
		t.Error("made anew too soon")
	}
	if next, err := keys.Face(now.Add(29*24*time.Hour + time.Hour)); err != nil || !next.NotAfter.After(first.NotAfter) {
		t.Errorf("at its end: %v, %v", next.NotAfter, err)
	}
}

func TestPEM(t *testing.T) {
	k := newKey(t, "gateway.example")
	text, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ech.Parse(text)
	if err != nil || back.Name != k.Name || !bytes.Equal(back.List(), k.List()) || !strings.HasPrefix(back.Record(), "ech=AE") {
		t.Fatalf("read %v, %v", back, err)
	}
	hello := helloOf(t, &tls.Config{ServerName: "inner.example", EncryptedClientHelloConfigList: back.List()})
	if newKeys(t, back).Open(hello) == nil {
		t.Error("what was read does not open")
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", k)
	if s := fmt.Sprintf("%v %+v %#v %s", k, k, k, log.String()); strings.Count(s, "gateway.example REDACTED(32 bytes)") != 4 {
		t.Errorf("printed as %s", s)
	}
}

// TestPEMOfOthers reads a key as the drafts of the format show it.
func TestPEMOfOthers(t *testing.T) {
	k, err := ech.Parse([]byte(`-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEICjd4yGRdsoP9gU7YT7My8DHx1Tjme8GYDXrOMCi8v1V
-----END PRIVATE KEY-----
-----BEGIN ECHCONFIG-----
AD7+DQA65wAgACA8wVN2BtscOl3vQheUzHeIkVmKIiydUhDCliA4iyQRCwAEAAEA
AQALZXhhbXBsZS5jb20AAA==
-----END ECHCONFIG-----
`))
	if err != nil || k.Name != "example.com" {
		t.Fatalf("%v, %v", k, err)
	}
	if newKeys(t, k).Open(helloOf(t, &tls.Config{ServerName: "inner.example", EncryptedClientHelloConfigList: k.List()})) == nil {
		t.Error("it does not open")
	}
}

func TestWhatCannotBeMeant(t *testing.T) {
	for _, name := range []string{"", "localhost", "a..example", "A.example", "192.0.2.1", "x.example.", strings.Repeat("a", 64) + ".example", strings.Repeat("aaa.", 80) + "example"} {
		if _, err := ech.NewKey(name); err == nil {
			t.Errorf("made a key for %q", name)
		}
	}
	text, err := newKey(t, "gateway.example").PEM()
	if err != nil {
		t.Fatal(err)
	}
	other, err := newKey(t, "gateway.example").PEM()
	if err != nil {
		t.Fatal(err)
	}
	secret, rest := pem.Decode(text)
	config, _ := pem.Decode(rest)
	_, otherConfig := pem.Decode(other)
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	mine := block("PRIVATE KEY", secret.Bytes)
	for input, want := range map[string]string{
		"": "are needed", mine: "are needed", mine + string(otherConfig): "not that of the key", mine + block("ECHCONFIG", config.Bytes[1:]): "no ECHConfigList",
		mine + block("ECHCONFIG", append([]byte{0, 4, 0xfe, 0x0a, 0, 0}, []byte{}...)): "of the version of RFC 9849",
		mine + block("ECHCONFIG", []byte{0, 5, 0xfe, 0x0d, 0, 1, 7}):                   "cannot be read",
		block("PRIVATE KEY", []byte("x")):                                              "read private key",
	} {
		if _, err := ech.Parse([]byte(input)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", input, err, want)
		}
	}
}

// FuzzOpen has somebody say anything at all. What is opened has been encrypted by who knows the key's configuration.
func FuzzOpen(f *testing.F) {
	k, err := ech.Parse([]byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEICjd4yGRdsoP9gU7YT7My8DHx1Tjme8GYDXrOMCi8v1V\n-----END PRIVATE KEY-----\n" +
		"-----BEGIN ECHCONFIG-----\nAD7+DQA65wAgACA8wVN2BtscOl3vQheUzHeIkVmKIiydUhDCliA4iyQRCwAEAAEA\nAQALZXhhbXBsZS5jb20AAA==\n-----END ECHCONFIG-----\n"))
	if err != nil {
		f.Fatal(err)
	}
	keys := newKeys(f, k)
	f.Add(helloOf(f, &tls.Config{ServerName: "inner.example", EncryptedClientHelloConfigList: k.List()}))
	f.Add(helloOf(f, &tls.Config{ServerName: "inner.example"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if in := keys.Open(b); in != nil && len(in.SupportedVersions) == 0 {
			t.Errorf("opened %+v", in)
		}
	})
}

// FuzzParse reads whatever people may take for a key. What can be read can be written, and used.
func FuzzParse(f *testing.F) {
	text, err := newKey(f, "gateway.example").PEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ech.Parse(text)
		if err != nil {
			return
		}
		newKeys(t, k).Open(helloOf(t, &tls.Config{ServerName: "inner.example"}))
		if _, err := k.PEM(); err != nil {
			t.Error(err)
		}
	})
}
