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
			out, err := a.Edit(piece)
			must(t, err)
			got = append(got, out...)
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
	if got, err := a.Edit(sent); err != nil || !bytes.Equal(got, sent) || &got[0] != &sent[0] {
		t.Error("bytes were changed or copied")
	}
}

// TestUnreadable passes on what nobody can read, and what it cannot keep. Behind a block that was written anew the connection ends
// there: the client's table is another one than the server's.
func TestUnreadable(t *testing.T) {
	header := func(n int, typ, flags byte, id uint32, payload string) string {
		return string(frame{n, typ, flags, id}.append(nil)) + payload
	}
	references := "\x40\x01a\x7f\xa1\x1e" + strings.Repeat("v", 4000) + strings.Repeat("\xbe", 94)
	p := newPeer()
	p.headers(t, 1, true, ":status=200", `alt-svc=h3=":443"`)
	announced := p.String()
	for name, b := range map[string]string{
		"interrupted block":  header(1, headers, 0, 1, "\x82") + header(8, ping, 0, 0, "12345678"),
		"foreign piece":      header(1, headers, 0, 1, "\x82") + header(1, continuation, endHeaders, 3, "\x82"),
		"piece of nothing":   header(1, continuation, endHeaders, 1, "\x82"),
		"unreadable block":   header(1, headers, endHeaders, 1, "\xff"),
		"padding":            header(2, headers, endHeaders|padded, 1, "\x09\x82"),
		"short push":         header(3, push, endHeaders, 1, "\x00\x00\x00"),
		"endless block":      header(maxBlock+1, headers, 0, 1, strings.Repeat("x", 5)),
		"references to much": header(4096+4, headers, 0, 1, references) + header(200, continuation, endHeaders, 1, strings.Repeat("\xbe", 200)) + header(1, headers, endHeaders, 3, "\xbe"),
		"table too large":    header(5, headers, endHeaders, 1, "\x3f\xe2\xff\x0f\x88"),
		"many pieces":        header(0, headers, 0, 1, "") + strings.Repeat(header(0, continuation, 0, 1, ""), 2*maxBlock/headerSize),
		"long frame":         header(maxControl+1, altSvc, 0, 0, strings.Repeat("h3", 5)),
		"short frame":        header(1, altSvc, 0, 0, "\x00") + header(3, altSvc, 0, 0, "\x00\x09h"),
	} {
		for _, most := range []int{1, len(b)} {
			a := NewAnnouncements()
			if got, err := inPieces(a, b, most); string(got) != b || err != nil || len(a.kept) > maxBlock {
				t.Errorf("%s: forwarded %d of %d bytes, %v", name, len(got), len(b), err)
			}
			a = NewAnnouncements()
			before, err := a.Edit([]byte(announced))
			must(t, err)
			if strings.Contains(string(before), "443") {
				t.Fatalf("forwarded %q", before)
			}
			passes := strings.Contains(name, "frame") // it is no header block
			got, err := inPieces(a, b, most)
			if passes != (err == nil) || passes != (string(got) == b) || len(got) > len(b) || len(a.kept) > maxBlock {
				t.Errorf("%s, behind an announcement: forwarded %d of %d bytes, %v", name, len(got), len(b), err)
			}
			if more, err := a.Edit([]byte(header(8, ping, 0, 0, "12345678"))); passes != (err == nil) || !passes && more != nil {
				t.Errorf("%s, and then: forwarded %q, %v", name, more, err)
			}
		}
	}
}

// inPieces returns what is forwarded of a text, up to an error.
func inPieces(a *Announcements, text string, most int) (got []byte, err error) {
	for at := 0; at < len(text); at += most {
		out, err := a.Edit([]byte(text[at:min(at+most, len(text))]))
		if err != nil {
			return got, err
		}
		got = append(got, out...)
	}
	return got, nil
}

// FuzzAnnouncements checks that what a server says becomes the same however it is cut, and stays as it is where nothing is announced.
func FuzzAnnouncements(f *testing.F) {
	f.Add(answers(f), uint16(7))
	f.Add(append(answers(f), frame{maxBlock + 1, headers, 0, 9}.append(nil)...), uint16(7))
	f.Fuzz(func(t *testing.T, b []byte, piece uint16) {
		whole := NewAnnouncements()
		want, refused := whole.Edit(b)
		a := NewAnnouncements()
		got, err := inPieces(a, string(b), int(piece)+1)
		if err != refused || err == nil && !bytes.Equal(got, want) {
			t.Errorf("%x, %v; in pieces %x, %v", want, refused, got, err)
		}
		if err != nil && !a.table.anew {
			t.Error("the connection ends, but no block was written anew")
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
	_, err := a.Edit(q.Bytes())
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Edit(p.Bytes()); err != nil || a.plain {
			b.Fatal("not read")
		}
	}
}
