package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// TestSessionsWithOrigins checks that the gateway resumes sessions with origins, but keeps none that takes much memory.
func TestSessionsWithOrigins(t *testing.T) {
	for names, want := range map[int]bool{1: true, 2000: false} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
			cert := issue(t, w.public, newECDSA(t), func(c *x509.Certificate) {
				forShop(c)
				for i := range names {
					c.DNSNames = append(c.DNSNames, fmt.Sprintf("n%d.shop.example", i))
				}
			}).tls()
			resumed := make(chan bool, 2)
			address, _ := serveTLS(t, &tls.Config{MaxVersion: version, Certificates: []tls.Certificate{cert}, VerifyConnection: func(s tls.ConnectionState) error {
				resumed <- s.DidResume
				return nil
			}})
			for i := range 2 {
				c, err := w.handshake(t, address, w.client())
				check(t, err)
				echo(t, c, "hello") // behind the ticket
				c.Close()
				if got := <-resumed; got != (want && i > 0) {
					t.Errorf("version %x, a certificate with %d names, connection %d: resumed is %t", version, names, i+1, got)
				}
			}
		}
	}
}
