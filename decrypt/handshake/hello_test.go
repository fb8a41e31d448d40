package handshake

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// hello builds the body of a ClientHello out of lists.
type hello struct {
	version    uint16
	suites     []uint16
	extensions []extension
}

type extension struct {
	id   uint16
	data []byte
}

func (h hello) body() []byte {
	b := binary.BigEndian.AppendUint16(nil, h.version)
	b = append(b, bytes.Repeat([]byte{7}, 32)...)
	b = append(b, 0) // session id
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(h.suites)))
	b = appendU16s(b, h.suites)
	b = append(b, 1, 0) // no compression
	var block []byte
	for _, e := range h.extensions {
		block = binary.BigEndian.AppendUint16(block, e.id)
		block = append(block, prefixed(2, e.data)...)
	}
	if len(block) > 0 {
		b = append(b, prefixed(2, block)...)
	}
	return b
}

func appendU16s(b []byte, list []uint16) []byte {
	for _, v := range list {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

// prefixed puts the length of data, in n bytes, before it.
func prefixed(n int, data []byte) []byte {
	var l [4]byte
	binary.BigEndian.PutUint32(l[:], uint32(len(data)))
	return append(bytes.Clone(l[4-n:]), data...)
}

func u16List(n int, list ...uint16) []byte { return prefixed(n, appendU16s(nil, list)) }

func alpn(names ...string) extension {
	var list []byte
	for _, n := range names {
		list = append(list, prefixed(1, []byte(n))...)
	}
	return extension{extALPN, prefixed(2, list)}
}

func serverName(name string) extension {
	return extension{extServerName, prefixed(2, append([]byte{0}, prefixed(2, []byte(name))...))}
}

func empties(ids ...uint16) []extension {
	var list []extension
	for _, id := range ids {
		list = append(list, extension{id: id})
	}
	return list
}

// chrome is the ClientHello that the JA4 specification explains its steps with, with GREASE put in everywhere.
func chrome() hello {
	return hello{
		version: TLS12,
		suites: []uint16{0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
			0x009c, 0x009d, 0x002f, 0x0035},
		extensions: append(empties(0x4a4a, 0x001b, 0x0033, 0x4469, 0x0017, 0x002d, 0x0005, 0x0023, 0x0012, 0xff01, 0x0015),
			serverName("example.com"), alpn("h2", "http/1.1"),
			extension{extSignatureAlgorithms, u16List(2, 0x9a9a, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)},
			extension{extSupportedVersions, u16List(1, 0xfafa, TLS13, TLS12)},
			extension{extPointFormats, []byte{1, 0}},
			extension{extSupportedGroups, u16List(2, 0x0a0a, 29, 23, 24)}),
	}
}

func parse(t testing.TB, body []byte) *ClientHello {
	t.Helper()
	var h ClientHello
	if err := h.Parse(body); err != nil {
		t.Fatal(err)
	}
	return &h
}

func TestJA4OfTheSpecification(t *testing.T) {
	noAlgorithms := chrome()
	noAlgorithms.extensions = append(noAlgorithms.extensions[:13:13], noAlgorithms.extensions[14:]...)
	noAlgorithms.extensions = append(noAlgorithms.extensions, extension{extSignatureAlgorithms, u16List(2)})

	many := hello{version: TLS11}
	for id := range uint16(120) {
		many.suites = append(many.suites, id)
		many.extensions = append(many.extensions, extension{id: 1000 + id})
	}
	cases := []struct {
		name  string
		hello hello
		over  Transport
		want  string
	}{
		{"worked example", chrome(), OverTCP, "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"over QUIC", chrome(), OverQUIC, "q13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"no signature algorithms", noAlgorithms, OverTCP, "t13d1516h2_8daaf6152771_6d807ffa2a79"},
		{"nothing at all", hello{version: SSL30}, OverTCP, "ts3i000000_000000000000_000000000000"},
		{"only name and protocols", hello{version: TLS10, extensions: []extension{serverName("a"), alpn("x")}}, OverTCP,
			"t10d0002xx_000000000000_000000000000"},
		{"unknown version", hello{version: 0x7f1c}, OverTCP, "t00i000000_000000000000_000000000000"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := parse(t, c.hello.body()).JA4(c.over); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if got := parse(t, many.body()).JA4(OverTCP)[:10]; got != "t11i999900" {
		t.Errorf("120 suites and extensions: got %s", got)
	}
}

func TestJA4ALPN(t *testing.T) {
	for name, want := range map[string]string{
		"h2": "h2", "http/1.1": "h1", "h": "hh", "": "00", "\xab": "ab", "\xab\xcd": "ad", "0\xab": "3b", "01\xab\xcd": "3d",
		"0\xab\xcd1": "01", "_x": "58", "x_": "7f",
	} {
		if got := ja4ALPN([]string{name}); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
	if got := ja4ALPN(nil); got != "00" {
		t.Errorf("none: got %s", got)
	}
}

func TestClientHelloFacts(t *testing.T) {
	h := parse(t, chrome().body())
	if h.ServerName != "example.com" || h.MaxVersion() != TLS13 || h.Version != TLS12 {
		t.Errorf("got name %q, version %x of %x", h.ServerName, h.MaxVersion(), h.Version)
	}
	if diff := cmp.Diff([]string{"h2", "http/1.1"}, h.ALPN); diff != "" {
		t.Error(diff)
	}
}

// recordedHello returns the payload of the first record that Go's client sends.
func recordedHello(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, cfg).Handshake()
	}()
	defer client.Close()
	server.SetDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, MaxRecord)
	n, err := server.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	hdr, err := ParseHeader(buf)
	if err != nil || hdr.Type != Handshake || HeaderLen+hdr.Length != n {
		t.Fatalf("got header %+v, error %v and %d bytes", hdr, err, n)
	}
	return buf[HeaderLen:n]
}

func TestClientHelloOfGo(t *testing.T) {
	payload := recordedHello(t, &tls.Config{ServerName: "go.example", NextProtos: []string{"h2"}})
	var got ClientHello
	var m Messages
	for i := range payload { // one byte at a time: reassembled
		err := m.Add(payload[i:i+1], func(typ MessageType, body []byte) error {
			if typ != TypeClientHello {
				t.Errorf("got message type %d", typ)
			}
			return got.Parse(bytes.Clone(body))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got.ServerName != "go.example" || got.MaxVersion() != TLS13 || len(got.ALPN) != 1 || m.Partial() {
		t.Errorf("got %+v", got)
	}
}

// TestTruncatedHellos cuts a hello everywhere: no panic, and never a fact that is not there.
func TestTruncatedHellos(t *testing.T) {
	body := chrome().body()
	for n := range body {
		var h ClientHello
		if err := h.Parse(body[:n]); err == nil && n != 2+32+1+2+32+2 {
			t.Errorf("cut to %d bytes: no error", n) // a hello without extensions is the one valid prefix
		}
	}
}

func TestMessagesAreBounded(t *testing.T) {
	var m Messages
	err := m.Add([]byte{11, 0xff, 0xff, 0xff, 0}, func(MessageType, []byte) error { return nil })
	if err == nil || m.Partial() {
		t.Errorf("got error %v, partial %v", err, m.Partial())
	}
}

func TestHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		valid bool
	}{
		"handshake":                 {[]byte{22, 3, 1, 0, 5}, true},
		"longest":                   {[]byte{23, 3, 3, 0x48, 0}, true},
		"too long":                  {[]byte{23, 3, 3, 0x48, 1}, false},
		"empty application data":    {[]byte{23, 3, 1, 0, 0}, true},
		"empty handshake":           {[]byte{22, 3, 1, 0, 0}, false},
		"unknown type":              {[]byte{24, 3, 3, 0, 5}, false},
		"unknown version":           {[]byte{23, 2, 3, 0, 5}, false},
		"HTTP instead of TLS":       {[]byte("GET /"), false},
		"DTLS":                      {[]byte{22, 0xfe, 0xfd, 0, 0}, false},
		"minor version not yet out": {[]byte{22, 3, 5, 0, 1}, false},
	} {
		if _, err := ParseHeader(c.bytes); (err == nil) != c.valid {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func TestSuites(t *testing.T) {
	for i := 1; i < len(suiteNames); i++ {
		if suiteNames[i-1].id >= suiteNames[i].id {
			t.Fatalf("0x%04X is out of order", suiteNames[i].id)
		}
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if got := SuiteByID(s.ID); got.Name != s.Name || got.TLS13 != (s.SupportedVersions[0] == tls.VersionTLS13) {
			t.Errorf("got %+v, want %s", got, s.Name)
		}
	}
	for id, explicit := range map[uint16]int{0x1301: 0, 0xc02f: 8, 0xcca8: 0, 0x009d: 8} {
		if s := SuiteByID(id); s.ExplicitNonceLen() != explicit || s.FixedIVLen() != 12-explicit || s.AEAD == NoAEAD {
			t.Errorf("%s: got %+v", s.Name, s)
		}
	}
	if s := SuiteByID(0x1a1a); s.Name != "0x1A1A" || s.AEAD != NoAEAD {
		t.Errorf("unknown: got %+v", s)
	}
}

func TestMessagesInTinyRecordsAreLinear(t *testing.T) {
	testkit.Linear(t, MaxMessage/2-1, func(size int) {
		var m Messages
		m.Add([]byte{11, byte(MaxMessage >> 16), 0, 0}, nil)
		for range size {
			m.Add([]byte{0}, nil)
		}
	})
}
