package handshake

import (
	"crypto/tls"
	"testing"
)

func FuzzHandshake(f *testing.F) {
	f.Add(chrome().body())
	f.Add(recordedHello(f, &tls.Config{ServerName: "go.example"}))
	certs := NewCertificates(4)
	f.Fuzz(func(t *testing.T, b []byte) {
		var ch ClientHello
		if ch.Parse(b) == nil {
			ch.JA3()
			if got := ch.JA4(OverTCP); len(got) != 36 {
				t.Errorf("JA4 is %q", got)
			}
		}
		var sh ServerHello
		if sh.Parse(b) == nil {
			sh.JA3S()
		}
		ParseEncryptedExtensions(b)
		for _, version := range []uint16{TLS12, TLS13} {
			if leaf, err := ParseCertificate(b, version); err == nil && leaf != nil {
				certs.Facts(leaf)
			}
		}
		var whole, split Messages
		var first, second int
		whole.Add(b, func(MessageType, []byte) error { first++; return nil })
		for i := range b {
			if split.Add(b[i:i+1], func(MessageType, []byte) error { second++; return nil }) != nil {
				break
			}
		}
		if first != second {
			t.Errorf("%d messages in one piece, %d byte by byte", first, second)
		}
	})
}
