package frames

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// alternatives is an ALTSVC frame.
func (p *peer) alternatives(t testing.TB, id uint32, origin, value string) {
	t.Helper()
	payload := append(binary.BigEndian.AppendUint16(nil, uint16(len(origin))), origin...)
	must(t, p.WriteRawFrame(altSvc, 0, id, append(payload, value...)))
}

// answers are a server's, with announcements in three of five, the third in the table of the second.
func answers(t testing.TB) []byte {
	t.Helper()
	p := newPeer()
	must(t, p.WriteSettings())
	p.alternatives(t, 0, "https://example.com", `h3=":443"`)
	p.headers(t, 1, false, ":status=200", "server=x", "x-a=1")
	must(t, p.WriteData(1, true, bytes.Repeat([]byte("alt-svc"), 100)))
	p.alternatives(t, 3, "", `h3=":443", h2=":444"`)
	for _, id := range []uint32{3, 5} {
		p.headers(t, id, false, ":status=200", "server=x", `alt-svc=h3=":443"; ma=60`, "x-a=1", "x-b=2", "cookie=secret")
		must(t, p.WriteDataPadded(id, true, []byte("fine"), []byte{0, 0}))
	}
	must(t, p.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: []byte{0x82}, EndHeaders: true, PadLength: 2}))
	p.headers(t, 7, false, ":status=200", "server=x", `alt-svc=h2=":444", h3=":443"`, `alt-svc=clear`, "x-b=2")
	p.headers(t, 7, true, "grpc-status=0", "x-b=2")
	must(t, p.WritePing(false, [8]byte{1}))
	return slices.Clone(p.Bytes())
}

var discreet = []string{
	"SETTINGS", "1 HEADERS false :status=200 server=x x-a=1", "1 DATA true " + strings.Repeat("alt-svc", 100), "", // the name of ALTSVC
	"3 HEADERS false :status=200 server=x x-a=1 x-b=2 cookie=secret", "3 DATA true fine", "5 HEADERS false :status=200 server=x x-a=1 x-b=2 cookie=secret", "5 DATA true fine",
	"PUSH_PROMISE", `7 HEADERS false :status=200 server=x alt-svc=h2=":444" alt-svc=clear x-b=2`, "7 HEADERS true grpc-status=0 x-b=2", `PING false "\x01\x00\x00\x00\x00\x00\x00\x00"`,
}

// TestAnnouncements takes out what announces QUIC, wherever the server's bytes are cut, and leaves everything else.
func TestAnnouncements(t *testing.T) {
	sent := answers(t)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		a := NewAnnouncements()
		var got []byte
		for _, piece := range cut(sent, random, 1<<(i%12)) {
			piece = slices.Clone(piece)
			got = append(got, a.Edit(piece)...)
			for k := range piece { // no longer valid
				piece[k] = 0xaa
			}
		}
		if lines := read(t, got); !slices.Equal(lines, discreet) {
			t.Fatalf("forwarded\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(discreet, "\n"))
		}
		if !bytes.Contains(got, []byte(`h2=":444"`)) || bytes.Contains(got, []byte("h3=")) {
			t.Fatalf("forwarded %q", got)
		}
	}
}

// TestNothingAnnounced passes the very bytes, all of them at once.
func TestNothingAnnounced(t *testing.T) {
	sent := conversation(t)[len(preface):]
	a := NewAnnouncements()
	if got := a.Edit(sent); !bytes.Equal(got, sent) || &got[0] != &sent[0] {
		t.Error("bytes were changed or copied")
	}
}

// TestUnreadable passes on what nobody can read, and what it cannot keep.
func TestUnreadable(t *testing.T) {
	header := func(n int, typ, flags byte, id uint32, payload string) string {
		return string(frame{n, typ, flags, id}.append(nil)) + payload
	}
	for name, b := range map[string]string{
		"interrupted block": header(1, headers, 0, 1, "\x82") + header(8, ping, 0, 0, "12345678"),
		"foreign piece":     header(1, headers, 0, 1, "\x82") + header(1, continuation, endHeaders, 3, "\x82"),
		"piece of nothing":  header(1, continuation, endHeaders, 1, "\x82"),
		"unreadable block":  header(1, headers, endHeaders, 1, "\xff"),
		"padding":           header(2, headers, endHeaders|padded, 1, "\x09\x82"),
		"short push":        header(3, push, endHeaders, 1, "\x00\x00\x00"),
		"endless block":     header(maxBlock+1, headers, 0, 1, strings.Repeat("x", 5)),
		"many pieces":       header(0, headers, 0, 1, "") + strings.Repeat(header(0, continuation, 0, 1, ""), 2*maxBlock/headerSize),
		"long frame":        header(maxControl+1, altSvc, 0, 0, strings.Repeat("h3", 5)),
		"short frame":       header(1, altSvc, 0, 0, "\x00") + header(3, altSvc, 0, 0, "\x00\x09h"),
	} {
		for _, most := range []int{1, len(b)} {
			a := NewAnnouncements()
			var got []byte
			for at := 0; at < len(b); at += most {
				got = append(got, a.Edit([]byte(b[at:min(at+most, len(b))]))...)
			}
			if string(got) != b || len(a.kept) > maxBlock {
				t.Errorf("%s: forwarded %d of %d bytes", name, len(got), len(b))
			}
		}
	}
}

// FuzzAnnouncements checks that what a server says becomes the same however it is cut, and stays as it is where nothing is announced.
func FuzzAnnouncements(f *testing.F) {
	f.Add(answers(f), uint16(7))
	f.Fuzz(func(t *testing.T, b []byte, piece uint16) {
		whole := NewAnnouncements()
		want := slices.Clone(whole.Edit(b))
		a := NewAnnouncements()
		var got []byte
		for rest := b; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			got = append(got, a.Edit(rest[:n])...)
			rest = rest[n:]
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%x, in pieces %x", want, got)
		}
		if !a.named && !bytes.Contains(b, []byte{altSvc}) && !bytes.HasPrefix(b, got) {
			t.Error("nothing is announced, but bytes have changed")
		}
	})
}

// BenchmarkAnnouncements is for answers without announcements, with bodies of 10 KB.
func BenchmarkAnnouncements(b *testing.B) {
	p := newPeer()
	body := make([]byte, 10<<10)
	for range 2 { // from the second one on, the table serves
		p.Reset()
		p.headers(b, 1, false, ":status=200", "server=nginx", "date=Mon, 30 Nov 2026 14:10:55 GMT", "content-type=text/html", "cache-control=no-store", "vary=accept-encoding", "etag=0123456789")
		must(b, p.WriteData(1, true, body))
	}
	q := newPeer()
	q.headers(b, 1, false, ":status=200", "server=nginx", "date=Mon, 30 Nov 2026 14:10:55 GMT", "content-type=text/html", "cache-control=no-store", "vary=accept-encoding", "etag=0123456789")
	a := NewAnnouncements()
	a.Edit(q.Bytes())
	b.ReportAllocs()
	for b.Loop() {
		if a.Edit(p.Bytes()); a.plain {
			b.Fatal("not read")
		}
	}
}
