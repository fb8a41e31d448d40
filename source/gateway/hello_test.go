package gateway

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// caught keeps what is written, and reads nothing.
type caught struct {
	net.Conn
	bytes.Buffer
}

func (c *caught) Write(b []byte) (int, error) { return c.Buffer.Write(b) }
func (c *caught) Read([]byte) (int, error)    { return 0, io.EOF }

// clientHello returns what a client of Go begins with.
func clientHello(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	var c caught
	if err := tls.Client(&c, cfg).Handshake(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return c.Bytes()
}

func TestHelloReader(t *testing.T) {
	hello := clientHello(t, &tls.Config{ServerName: "shop.example"})
	for _, tt := range []struct {
		name               string
		in                 string
		known, not, broken bool
	}{
		{"whole", string(hello), true, false, false},
		{"with more behind it", string(hello) + "\x14\x03\x03\x00\x01\x01", true, false, false},
		{"cut", string(hello[:len(hello)-1]), false, false, false},
		{"nothing", "", false, false, false},
		{"first byte", "\x16", false, false, false},
		{"HTTP", "GET / HTTP/1.1\r\n", true, true, false},
		{"one letter", "G", true, true, false},
		{"SSL 2", "\x80\x2e\x01\x03\x01", true, true, false},
		{"another message", "\x16\x03\x01\x00\x04\x02\x00\x00\x00", true, false, true},
		{"an alert", "\x15\x03\x01\x00\x02\x02\x28", true, false, true},
		{"a broken hello", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", true, false, true},
		{"a hello without end", "\x16\x03\x01\x00\x04\x01\xff\xff\xff", true, false, true},
	} {
		for _, size := range []int{len(tt.in), 1, 3} {
			var r helloReader
			known := false
			for b := []byte(tt.in); len(b) > 0 && !known; b = b[min(size, len(b)):] {
				known = r.add(b[:min(size, len(b))])
			}
			if known != tt.known || r.not != tt.not || r.broken != tt.broken || (r.hello != nil) != (known && !r.not && !r.broken) {
				t.Errorf("%s, %d bytes at once: known is %t, not is %t, broken is %t", tt.name, size, known, r.not, r.broken)
			}
			if r.hello != nil && r.hello.ServerName != "shop.example" {
				t.Errorf("%s: for %s", tt.name, r.hello.ServerName)
			}
		}
	}
}

// TestEndlessHello sends records of a hello that never ends, in the smallest pieces: what is kept is bounded, and so is the time.
func TestEndlessHello(t *testing.T) {
	var r helloReader
	piece := []byte("\x16\x03\x01\x00\x01\x01")
	n := 0
	for ; !r.add(piece) && n < 1<<20; n++ {
		piece = []byte("\x16\x03\x01\x00\x01\x00")
		if n == 0 {
			piece[5] = 0 // length 0x00ffff follows
		}
		if n == 1 || n == 2 {
			piece[5] = 0xff
		}
	}
	if !r.broken || len(r.buf) > maxHello+len(piece) || n == 1<<20 {
		t.Errorf("%d bytes were kept", len(r.buf))
	}
	all := bytes.Repeat([]byte("\x16\x03\x01\x00\x01\x01"), 1)
	all = append(all, "\x16\x03\x01\x00\x01\x00\x16\x03\x01\x00\x01\xff\x16\x03\x01\x00\x01\xff"...)
	all = append(all, bytes.Repeat([]byte("\x16\x03\x01\x00\x01\x00"), 12_000)...)
	testkit.Linear(t, 30_000, func(size int) {
		for range 20 {
			var r helloReader
			for b := all[:size]; len(b) > 0; b = b[min(100, len(b)):] {
				r.add(b[:min(100, len(b))])
			}
		}
	})
}

func FuzzHelloReader(f *testing.F) {
	f.Add(clientHello(f, &tls.Config{ServerName: "shop.example", NextProtos: []string{"h2"}}), 7)
	f.Add(clientHello(f, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}), 1000)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		size = max(1, min(size, len(b)))
		var r helloReader
		for known := false; len(b) > 0 && !known; b = b[min(size, len(b)):] {
			known = r.add(b[:min(size, len(b))])
			if known != (r.hello != nil || r.not || r.broken) {
				t.Fatalf("known is %t", known)
			}
		}
		if r.hello != nil {
			if o, err := newOffer(r.hello); err == nil && (o.min > o.max || len(o.suites) > len(suites)) {
				t.Errorf("offers %+v", o)
			}
			keyType(r.hello, tls.VersionTLS12)
		}
	})
}

// FuzzTurn cuts what a client says in pieces, and has it be slow at some of them: until TLS begins, every byte is forwarded or kept, in order, and
// of a ClientHello never all.
func FuzzTurn(f *testing.F) {
	hello := clientHello(f, &tls.Config{ServerName: "shop.example"})
	f.Add([]byte("EHLO me\r\n"), uint16(3), false)
	f.Add(hello, uint16(7), false)
	f.Add(hello, uint16(100), true)
	f.Add([]byte("\x16\x03\x01\x00\x04\x02bcd"), uint16(1), true)
	f.Fuzz(func(t *testing.T, said []byte, size uint16, slow bool) {
		kept := 0
		turn := turn{keep: func(was, size int) bool {
			if was != kept {
				t.Fatalf("%d bytes are kept, not %d", kept, was)
			}
			kept = size
			return true
		}}
		_, _ = turn.pass(flow.ToClient, time.Time{}, []byte("220 hi"))
		if _, err := turn.pass(flow.ToServer, time.Time{}, []byte("STARTTLS")); err != nil {
			t.Fatal(err)
		}
		var forwarded []byte
		for rest := said; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			b, err := turn.pass(flow.ToServer, time.Time{}, rest[:n])
			forwarded, rest = append(forwarded, b...), rest[n:]
			if err != nil {
				if bytes.Equal(forwarded, said) || errors.Is(err, errTurned) != (turn.sent == 0) {
					t.Errorf("%v once %d of %d bytes were forwarded", err, len(forwarded), len(said))
				}
				return
			}
			if slow {
				forwarded = append(forwarded, turn.giveUp()...)
			}
		}
		if kept := turn.giveUp(); !bytes.Equal(append(forwarded, kept...), said) {
			t.Errorf("%d bytes were forwarded and %d kept of %d", len(forwarded), len(kept), len(said))
		}
	})
}
