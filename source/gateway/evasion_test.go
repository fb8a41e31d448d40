package gateway_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// warning is a TLS alert that clients ignore: user_canceled.
const warning = "\x15\x03\x01\x00\x02\x01\x5a"

// heard keeps what is read from a connection.
type heard struct {
	net.Conn
	all bytes.Buffer
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.all.Write(b[:n])
	return n, err
}

// TestWarningIsNoGreeting has an origin that sends a warning as soon as it is connected to, then speaks TLS: it is TLS all the same.
func TestWarningIsNoGreeting(t *testing.T) {
	rules := inspectAll(policy.Cases{})
	rules.Block = []policy.Exception{{ID: "evil", Names: []string{"evil.example"}}}
	w := newWorld(t, options{rules: rules})
	id := issue(t, w.public, newECDSA(t), forShop).tls()
	origin := func(auth tls.ClientAuthType) string {
		l := listen(t)
		serve(t, l, func(c net.Conn) {
			_, _ = io.WriteString(c, warning)
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{id}, ClientAuth: auth})
			_, _ = io.Copy(s, s)
		})
		return l.Addr().String()
	}
	plain, asking := origin(tls.NoClientCert), origin(tls.RequestClientCert)
	for _, tt := range []struct {
		address, name string
		issuer        string // empty: no connection
		warnings      int    // that reach the client
		why           flow.Decryption
	}{
		{plain, "shop.example", "CN=Private CA", 0, flow.Decryption{State: flow.DecryptedYes, Source: flow.FromInspection}},
		{plain, "evil.example", "", 0, flow.Decryption{State: flow.DecryptedNo, Reason: flow.BlockedByPolicy}},
		{asking, "shop.example", "CN=Public CA", 1, flow.Decryption{State: flow.DecryptedNo, Reason: flow.ClientCertificate}},
		{asking, "shop.example", "CN=Public CA", 1, flow.Decryption{State: flow.DecryptedNo, Reason: flow.ClientCertificate}},
	} {
		h := &heard{Conn: w.connect(t, tt.address)}
		c := tls.Client(h, &tls.Config{InsecureSkipVerify: true, ServerName: tt.name})
		err := c.Handshake()
		if (err == nil) != (tt.issuer != "") {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if err == nil {
			if got := c.ConnectionState().PeerCertificates[0].Issuer.String(); got != tt.issuer {
				t.Errorf("%s: issued by %s, want %s", tt.name, got, tt.issuer)
			}
			echo(t, c, "hello")
		}
		c.Close()
		if n := bytes.Count(h.all.Bytes(), []byte(warning)); n != tt.warnings {
			t.Errorf("%s: %d warnings, want %d", tt.name, n, tt.warnings)
		}
		if r := w.awaitTLS(t); r.Decryption != tt.why || r.TLS.SNI != tt.name {
			t.Errorf("%s: told %+v, %+v", tt.name, r.Decryption, r.TLS)
		}
	}
}
