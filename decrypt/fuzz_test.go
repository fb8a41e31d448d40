package decrypt_test

import (
	"bytes"
	"crypto/tls"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/flow"
)

// FuzzSession plays a script over a real conversation. Each three bytes of it act on the next chunk: cut it, lose part of it, damage it,
// let the keys come or the wait end. Whatever happens, what is heard was said, in
// order, and a connection is decrypted only if all that was said was heard.
func FuzzSession(f *testing.F) {
	recordings := []*recording{
		tls13(f, dialogue...),
		tls12(f, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dialogue...),
		tls12(f, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, dialogue...),
	}
	f.Add(uint8(0), []byte{})
	f.Add(uint8(1), []byte{1, 10, 0, 2, 0, 0, 0, 0, 0, 3, 9, 9})
	f.Add(uint8(2), bytes.Repeat([]byte{0, 0, 0, 4, 0, 0, 5, 0, 1}, 9))
	f.Fuzz(func(t *testing.T, which uint8, script []byte) {
		rec := recordings[int(which)%len(recordings)]
		keys := keylog.NewStore(4)
		switch which >> 6 {
		case 0, 2:
			keys.Add(rec.keys.Bytes())
		case 1: // TLS 1.3: of the handshake alone
			keys.Add(withoutLabel(rec, "TRAFFIC_SECRET_0"))
		}
		h := &heard{}
		s := newWorker(keys).NewSession(h)
		for i, c := range rec.chunks {
			b := c.b
			if len(script) >= 3 {
				op, at := script[0], int(script[1])<<8|int(script[2])
				script = script[3:]
				at %= len(b)
				switch op % 7 {
				case 1: // cut
					s.Data(c.dir, c.at, b[:at])
					b = b[at:]
				case 2: // lose the rest
					s.Data(c.dir, c.at, b[:at])
					s.Gap(c.dir, c.at, len(b)-at)
					b = nil
				case 3: // damage
					b = bytes.Clone(b)
					b[at] ^= 0x55
				case 4:
					keys.Add(rec.keys.Bytes())
					s.Retry()
				case 5:
					s.GiveUp(flow.NoKey)
				case 6: // lose the front
					s.Gap(c.dir, c.at, at+1)
					b = b[at+1:]
				}
			}
			s.Data(c.dir, c.at, b)
			if i%5 == 0 {
				s.Facts()
			}
		}
		s.Close(time.Time{})
		facts, d := s.Facts()
		for dir := range h.plain {
			if !subsequence(h.plain[dir], rec.said[dir]) {
				t.Errorf("%v: heard what was not said", flow.Direction(dir))
			}
		}
		if got := uint64(len(h.plain[0]) + len(h.plain[1])); got != facts.PlaintextBytes {
			t.Errorf("heard %d bytes, counted %d", got, facts.PlaintextBytes)
		}
		all := bytes.Equal(h.plain[0], rec.said[0]) && bytes.Equal(h.plain[1], rec.said[1])
		if d.State == flow.DecryptedYes && !all {
			t.Errorf("yes, but heard %d and %d bytes", len(h.plain[0]), len(h.plain[1]))
		}
	})
}

// subsequence reports whether part is whole with pieces left out.
func subsequence(part, whole []byte) bool {
	for _, c := range part {
		i := bytes.IndexByte(whole, c)
		if i < 0 {
			return false
		}
		whole = whole[i+1:]
	}
	return true
}

// FuzzRecords feeds bytes of nobody's making.
func FuzzRecords(f *testing.F) {
	rec := tls13(f, turn{flow.ToServer, []byte("hello")})
	f.Add(rec.chunks[0].b, rec.chunks[1].b, uint8(3))
	f.Fuzz(func(t *testing.T, client, server []byte, n uint8) {
		h := &heard{}
		s := newWorker(storeOf(rec.keys.Bytes())).NewSession(h)
		size := int(n) + 1
		both := [2][]byte{client, server}
		for len(both[0])+len(both[1]) > 0 {
			for dir, b := range both {
				k := min(size, len(b))
				s.Data(flow.Direction(dir), time.Time{}, b[:k])
				both[dir] = b[k:]
			}
			if n%3 == 0 {
				s.Gap(flow.ToClient, time.Time{}, int(n))
			}
		}
		s.Close(time.Time{})
		if _, d := s.Facts(); d.State == "" {
			t.Error("no state")
		}
	})
}
