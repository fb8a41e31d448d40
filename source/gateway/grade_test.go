package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// helloOf reads the ClientHello that a connection begins with.
func helloOf(c net.Conn) (*handshake.ClientHello, error) {
	var messages handshake.Messages
	var buf []byte
	found, hello := errors.New("there it is"), new(handshake.ClientHello)
	for {
		b := make([]byte, 4<<10)
		n, err := c.Read(b)
		buf = append(buf, b[:n]...)
		for len(buf) >= handshake.HeaderLen {
			h, headErr := handshake.ParseHeader(buf)
			if headErr != nil {
				return nil, headErr
			}
			if len(buf) < handshake.HeaderLen+h.Length {
				break
			}
			record := buf[handshake.HeaderLen : handshake.HeaderLen+h.Length]
			buf = buf[handshake.HeaderLen+h.Length:]
			if e := messages.Add(record, func(_ handshake.MessageType, body []byte) error {
				return errors.Join(hello.Parse(slices.Clone(body)), found)
			}); errors.Is(e, found) {
				return hello, nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// TestGrade holds what the gateway says to origins against the scale of a study of interception in the field ("The Security Impact of HTTPS
// Interception", NDSS 2017). A, the best grade, is for a hello as good as the client's: no suite and no version that the client would not
// have used itself, none that is broken, the client's best key exchange, and a certificate that is judged.
func TestGrade(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	l := listen(t)
	heard := make(chan *handshake.ClientHello, 1)
	serve(t, l, func(c net.Conn) {
		if h, err := helloOf(c); err == nil {
			heard <- h
		}
	})
	var broken []uint16
	for _, s := range tls.InsecureCipherSuites() {
		broken = append(broken, s.ID)
	}
	for name, cfg := range map[string]*tls.Config{
		"modern":       {},
		"classical":    {CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}},
		"only TLS 1.2": {MaxVersion: tls.VersionTLS12},
		"not below":    {MinVersion: tls.VersionTLS13},
		"careless":     {MinVersion: tls.VersionTLS10, CipherSuites: append(broken, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)},
	} {
		cfg.RootCAs, cfg.ServerName = w.private.pool(), "shop.example"
		said := make(chan *handshake.ClientHello, 1)
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			if h, err := helloOf(there); err == nil {
				said <- h
			}
		}()
		_ = tls.Client(here, cfg).Handshake() // which ends with the pipe
		if _, err := w.handshake(t, l.Addr().String(), cfg); err == nil {
			t.Fatalf("%s: there is a connection", name)
		}
		client, gateway := <-said, <-heard
		if gateway.ServerName != client.ServerName || gateway.MaxVersion() != client.MaxVersion() || slices.Min(gateway.SupportedVersions) < slices.Min(client.SupportedVersions) {
			t.Errorf("%s: asks for %q from %x to %x, the client for %q from %x to %x", name, gateway.ServerName, slices.Min(gateway.SupportedVersions), gateway.MaxVersion(), client.ServerName, slices.Min(client.SupportedVersions), client.MaxVersion())
		}
		for _, id := range gateway.CipherSuites {
			suite := tls.CipherSuiteName(id)
			if weak := slices.ContainsFunc([]string{"RC4", "3DES", "NULL", "EXPORT", "anon", "0x"}, func(s string) bool { return strings.Contains(suite, s) }); weak || !slices.Contains(client.CipherSuites, id) && id>>8 != 0x13 {
				t.Errorf("%s: offers %s", name, suite)
			}
		}
		if got, want := hybrid(gateway), hybrid(client); got != want {
			t.Errorf("%s: post-quantum key exchange is offered: %t, by the client: %t", name, got, want)
		}
		if slices.Contains(gateway.SignatureAlgorithms, uint16(tls.PKCS1WithSHA1)) && !slices.Contains(client.SignatureAlgorithms, uint16(tls.PKCS1WithSHA1)) {
			t.Errorf("%s: takes SHA-1", name)
		}
	}
	stranger := newRoot(t, "Stranger", newECDSA(t))
	address, _ := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{issue(t, stranger, newECDSA(t), forShop).tls()}})
	_, err := w.handshake(t, address, w.client())
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("a certificate of nobody's: %v", err)
	}
}

func hybrid(h *handshake.ClientHello) bool {
	return slices.Contains(h.Groups, uint16(tls.X25519MLKEM768))
}
