package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse"
)

// read takes a message in pieces of up to most bytes, 0: whole.
func read(t testing.TB, raw []byte, limits parse.Limits, most int) (*event.Mail, []event.File, []string) {
	t.Helper()
	memory := parse.NewBudget(1 << 40).Memory()
	var anomalies []string
	out := parse.Output{
		Anomaly: func(code string) { anomalies = append(anomalies, code) }, Seen: func() time.Time { return time.UnixMilli(1) },
		Exhausted: func() bool { return false }, Limits: limits, Memory: &memory,
	}
	room := limits.Header
	m := New(&out, func(n int) bool {
		room -= n
		return room >= 0
	})
	random := rand.New(rand.NewPCG(1, 2))
	for b := bytes.Clone(raw); len(b) > 0; {
		n := len(b)
		if most > 0 {
			n = min(n, 1+random.IntN(most))
		}
		piece := bytes.Clone(b[:n])
		m.Write(piece)
		for i := range piece {
			piece[i] = 0xAA // valid until Write returns
		}
		b = b[n:]
	}
	e, files := m.End(event.Complete)
	m.Release()
	if n := memory.Held(); n != 0 {
		t.Errorf("%d bytes were not given back", n)
	}
	return e, files, anomalies
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestWhatTheStandardLibraryWrites compares a message that mime/multipart wrote with what went into it.
func TestWhatTheStandardLibraryWrites(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	binary := make([]byte, 100_000)
	for i := range binary {
		binary[i] = byte(random.Uint32())
	}
	text := strings.Repeat("Zeile mit Umlauten äöü und = und Leerzeichen  \r\n", 500)

	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part := func(header textproto.MIMEHeader) io.Writer {
		p, err := w.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	quoted := quotedprintable.NewWriter(part(textproto.MIMEHeader{"Content-Type": {"text/plain; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}}))
	io.WriteString(quoted, text)
	quoted.Close()
	name := "Übersicht 2026; \"final\".bin"
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": name})
	writeLines(part(textproto.MIMEHeader{"Content-Disposition": {disposition}, "Content-Transfer-Encoding": {"BASE64"}}), binary)
	part(textproto.MIMEHeader{"Content-Disposition": {`attachment; filename="plain.txt"`}}).Write([]byte("as it is\r\n"))
	w.Close()

	subject := "Prüfung für 世界 " + strings.Repeat("lang ", 30)
	header := fmt.Sprintf("Subject: %s\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n", mime.QEncoding.Encode("utf-8", subject), w.Boundary())
	e, files, anomalies := read(t, []byte(header+body.String()), parse.DefaultLimits, 0)
	want := []event.File{
		{Name: name, Type: "application/octet-stream", Size: int64(len(binary)), SHA256: hash(binary), State: event.Complete},
		{Name: "plain.txt", Type: "text/plain", Size: 10, SHA256: hash([]byte("as it is\r\n")), State: event.Complete},
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files differ (-want +got):\n%s", diff)
	}
	if e.Subject != subject || e.Text.SHA256 != hash([]byte(text)) || len(anomalies) > 0 {
		t.Errorf("subject %q, text %.50q, anomalies %q", e.Subject, e.Text.Body, anomalies)
	}
}

// writeLines writes base64 in lines of 76 digits.
func writeLines(w io.Writer, b []byte) {
	for ; len(b) > 0; b = b[min(57, len(b)):] {
		fmt.Fprintf(w, "%s\r\n", base64.StdEncoding.EncodeToString(b[:min(57, len(b))]))
	}
}

func TestWords(t *testing.T) {
	for s, want := range map[string]string{
		"plain":                                     "plain",
		"=?utf-8?q?a?= =?utf-8?q?b?=":               "ab",
		"=?utf-8?q?a?= =?iso-8859-1?q?=E9?=":        "aé",
		"=?utf-8?q?a?=  c =?utf-8?q?b?=":            "a  c b",
		"=?UTF-8*de?B?w6Q?=":                        "ä",
		"=?gb18030?B?xOO6ww==?=":                    "你好",
		"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=":        "日本",
		"=?unknown?q?=41?=":                         "A",
		"=?utf-8?x?a?=":                             "=?utf-8?x?a?=",
		"=?utf-8?q?no end":                          "=?utf-8?q?no end",
		"=?utf-8?b?!!!!?=":                          "=?utf-8?b?!!!!?=",
		"=?=?utf-8?q?_?=":                           "=? ",
		"=??q?a?=":                                  "=??q?a?=",
		"=?utf-8?q?" + strings.Repeat("a", 2000):    "=?utf-8?q?" + strings.Repeat("a", 2000),
		"=?utf-8?b?5g==?= =?utf-8?b?l6XmnKw=?= end": "日本 end",
	} {
		if got := words(s); got != want {
			t.Errorf("words(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for list, want := range map[string][]string{
		"":                              nil,
		" , ,":                          nil,
		"a@x, b@y\nc@z":                 {"a@x", "b@y", "c@z"},
		`"a, \"b" <c@x> (d, (e)), f@y`:  {`"a, \"b" <c@x> (d, (e))`, "f@y"},
		"=?utf-8?q?a=2Cb?= <c@x>, d@y":  {"a,b <c@x>", "d@y"},
		`"unclosed, a@x` + "\n" + "b@y": {`"unclosed, a@x`, "b@y"},
		strings.Repeat("a,", 3000):      slicesOf("a", 1024),
	} {
		if diff := cmp.Diff(want, addresses(list, 1024)); diff != "" {
			t.Errorf("addresses(%.50q) (-want +got):\n%s", list, diff)
		}
	}
}

func slicesOf(s string, n int) (out []string) {
	for range n {
		out = append(out, s)
	}
	return out
}

// TestBounds checks what happens beyond each bound, and that it is told.
func TestBounds(t *testing.T) {
	deep := ""
	for i := range 20 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	limits := parse.Limits{Body: 1 << 10, Hashed: 1 << 20, Header: 4 << 10, Open: 18}
	for name, c := range map[string]struct {
		raw   string
		code  string
		files int
	}{
		"deep":         {deep, tooDeep, 1},
		"messages":     {strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 30), tooDeep, 17},
		"parts":        {"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\nContent-Type: a/b\r\n\r\nx\r\n", 30), tooManyParts, 17},
		"header":       {"A: b\r\n" + strings.Repeat("B: c\r\n", 2000) + "\r\ntext", headerTooLarge, 0},
		"field":        {"A: " + strings.Repeat("b", 5000) + "\r\n\r\ntext", headerTooLarge, 0},
		"fold":         {"A: b\r\n" + strings.Repeat(" c\r\n", 5000) + "\r\ntext", headerTooLarge, 0},
		"part header":  {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + strings.Repeat("B: c\r\n", 9000) + "\r\ntext\r\n--b--", headerTooLarge, 0},
		"boundary":     {"Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", 300) + "\r\n\r\n--", badBoundary, 1},
		"no such code": {"Content-Transfer-Encoding: rot13\r\n\r\nx", unknownEncoding, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e, files, anomalies := read(t, []byte(c.raw), limits, 0)
			if !strings.Contains(strings.Join(anomalies, " "), c.code) || len(files) != c.files || e.Size != int64(len(c.raw)) {
				t.Errorf("anomalies %q, want %s; %d files, want %d; %d bytes of %d", anomalies, c.code, len(files), c.files, e.Size, len(c.raw))
			}
			if n := len(strings.Join(e.Headers, "")); n > limits.Header {
				t.Errorf("%d bytes of header are kept", n)
			}
		})
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte("Subject: =?utf-8?q?a?=\r\nTo: a,\r\n b\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n" +
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename*0*=utf-8''a%20;filename*1=b\r\n\r\nQUJD\r\n--b\r\n" +
		"Content-Type: message/rfc822\r\n\r\nContent-Type: text/plain; charset=gbk\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C4=E3=\r\n \r\n--b--\r\n"))
	f.Add([]byte("--\r\r\n\n"))
	limits := parse.Limits{Body: 1 << 10, Hashed: 1 << 20, Header: 4 << 10, Open: 16}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, files, anomalies := read(t, raw, limits, 0)
		if e.Size != int64(len(raw)) || e.SHA256 != hash(raw) {
			t.Errorf("%d bytes became %d", len(raw), e.Size)
		}
		e2, files2, anomalies2 := read(t, raw, limits, 3)
		if diff := cmp.Diff([]any{e, files, anomalies}, []any{e2, files2, anomalies2}); diff != "" {
			t.Errorf("the message changes with the pieces (-whole +cut):\n%s", diff)
		}
	})
}
