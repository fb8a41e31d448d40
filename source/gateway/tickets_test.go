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

// TestSessionsThatOriginsRefuse checks that the gateway stops to offer sessions to an origin that never takes one.
func TestSessionsThatOriginsRefuse(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
		offers := make(chan bool, 1)
		cfg := &tls.Config{MaxVersion: version, Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), forShop).tls()}}
		offered := false
		cfg.UnwrapSession = func(ticket []byte, _ tls.ConnectionState) (*tls.SessionState, error) {
			offered = len(ticket) > 0
			return nil, nil
		}
		cfg.VerifyConnection = func(tls.ConnectionState) error {
			offers <- offered
			offered = false
			return nil
		}
		address, _ := serveTLS(t, cfg)
		for i, want := range []bool{false, true, true, true, false, false} {
			c, err := w.handshake(t, address, w.client())
			check(t, err)
			echo(t, c, "hello") // behind the ticket
			c.Close()
			if got := <-offers; got != want {
				t.Errorf("version %x, connection %d: a session was offered: %t", version, i+1, got)
			}
		}
	}
}
