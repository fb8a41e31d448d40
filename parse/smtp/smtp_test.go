package smtp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) { parsetest.Run(t, "testdata", Protocol) }

func TestLosses(t *testing.T) { parsetest.Loss(t, "testdata", Protocol) }

func FuzzParse(f *testing.F) { parsetest.Fuzz(f, "testdata", Protocol) }

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		dir  flow.Direction
		b    string
		want parse.Match
	}{
		{flow.ToServer, "E", parse.Maybe},
		{flow.ToServer, "ehlo", parse.Maybe},
		{flow.ToServer, "EHLO c", parse.Yes},
		{flow.ToServer, "HELO\r\n", parse.Yes},
		{flow.ToServer, "LHLO c\r\n", parse.Yes},
		{flow.ToServer, "EHLOS", parse.No},
		{flow.ToServer, "mail from:<a@x>", parse.Yes},
		{flow.ToServer, "MAIL FR", parse.Maybe},
		{flow.ToServer, "MAIL a\r\n", parse.No},
		{flow.ToServer, "NOOP\r\nEHLO c\r\n", parse.Yes},
		{flow.ToServer, "QUIT\r\n", parse.Maybe},
		{flow.ToServer, "NOOP\r\nUSER a\r\n", parse.No},
		{flow.ToServer, "QUITE", parse.No},
		{flow.ToServer, "HEAD / HTTP/1.1\r\n", parse.No},
		{flow.ToServer, "USER anonymous\r\n", parse.No},
		{flow.ToServer, "AUTH TLS\r\n", parse.No},
		{flow.ToServer, "\x16\x03\x01", parse.No},
		{flow.ToClient, "22", parse.Maybe},
		{flow.ToClient, "220 mx ESMTP", parse.Maybe},
		{flow.ToClient, "220 mx ESMTP Postfix\r\n", parse.Yes},
		{flow.ToClient, "220-mx.example ESMTP\r\n220 ready", parse.Yes},
		{flow.ToClient, "220 store lmtp\r\n", parse.Yes},
		{flow.ToClient, "554 no smtp service here\r\n", parse.Yes},
		{flow.ToClient, "220 mx.example\r\n", parse.Maybe},
		{flow.ToClient, "220 (vsFTPd 3.0.3)\r\n", parse.Maybe},
		{flow.ToClient, "220 FTP and SMTP gateway\r\n", parse.Maybe},
		{flow.ToClient, "220\x00", parse.No},
		{flow.ToClient, "220 \x01\r\n", parse.No},
		{flow.ToClient, "250 mx\r\n", parse.No},
		{flow.ToClient, "SSH-2.0-OpenSSH\r\n", parse.No},
		{flow.ToClient, "HTTP/1.1 200 OK\r\n", parse.No},
	} {
		if got := probe(c.dir, []byte(c.b)); got != c.want {
			t.Errorf("probe %s of %q is %d, want %d", c.dir, c.b, got, c.want)
		}
	}
}

// output returns an Output that collects what is said.
func output(said *[]string) parse.Output {
	return parse.Output{
		Emit: func(b event.Body) {
			if s, ok := b.(*event.SMTP); ok {
				*said = append(*said, fmt.Sprintf("%s commands:%d to:%d", s.MailFrom, len(s.Commands), len(s.RcptTo)))
			}
		},
		Anomaly: func(code string) { *said = append(*said, code) }, Become: func(string, *parse.Upgrade) {},
		Seen: func() time.Time { return time.UnixMilli(1) }, Exhausted: func() bool { return false }, Limits: parse.DefaultLimits,
	}
}

// TestLimits checks what happens beyond each bound.
func TestLimits(t *testing.T) {
	for _, c := range []struct{ name, client, want string }{
		{"recipients", "MAIL FROM:<a>\r\n" + strings.Repeat("RCPT TO:<b>\r\n", 6), "smtp_too_much_text smtp_too_many_pipelined smtp_too_many_recipients a commands:5 to:5"},
		{"text", "MAIL FROM:<a>\r\n" + strings.Repeat("RCPT TO:<"+strings.Repeat("b", 100)+">\r\n", 3), "smtp_too_many_recipients smtp_too_much_text a commands:2 to:1"},
		{"long line", "NOOP " + strings.Repeat("x", 300) + "\r\nMAIL FROM:<a>\r\n", "smtp_line_too_long a commands:1 to:0"},
		{"long password", "AUTH LOGIN\r\n" + strings.Repeat("x", 300) + "\r\nMAIL FROM:<a>\r\n", "smtp_line_too_long a commands:2 to:0"},
		{"pipelined mails", strings.Repeat("MAIL FROM:<a>\r\nRSET\r\n", 3), "smtp_too_many_pipelined a commands:1 to:0 a commands:2 to:0 a commands:2 to:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var said []string
			out := output(&said)
			out.Limits.Header, out.Limits.Open = 256, 5
			p := newParser(out)
			for b := []byte(c.client); len(b) > 0; {
				n, err := p.Parse(flow.ToServer, b)
				if err != nil || n == 0 {
					break
				}
				b = b[n:]
			}
			p.End()
			if got := strings.Join(said, " "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestMessagesCostNoAllocation(t *testing.T) {
	for name, c := range map[string]struct{ head, line string }{
		"text":        {"Subject: x\r\n\r\n", "a line of text, as they are in mails\r\n"},
		"attachments": {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n"},
		"quoted":      {"Content-Transfer-Encoding: quoted-printable\r\n\r\n", "a line=3D=\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var said []string
			p := newParser(output(&said))
			feed := func(dir flow.Direction, b []byte) {
				if n, err := p.Parse(dir, b); n != len(b) || err != nil {
					t.Fatalf("consumed %d of %d bytes: %v", n, len(b), err)
				}
			}
			feed(flow.ToServer, []byte("MAIL FROM:<a@x>\r\nDATA\r\n"))
			feed(flow.ToClient, []byte("220 mx\r\n250 ok\r\n354 go\r\n"))
			feed(flow.ToServer, []byte(c.head))
			piece := bytes.Repeat([]byte(c.line), 1000)
			for range 8 { // fills what is kept
				feed(flow.ToServer, piece)
			}
			if n := testing.AllocsPerRun(100, func() { feed(flow.ToServer, piece) }); n > 0 {
				t.Errorf("%v allocations for %d lines", n, 1000)
			}
		})
	}
}

func BenchmarkAttachment(b *testing.B) {
	var said []string
	p := newParser(output(&said))
	_, _ = p.Parse(flow.ToServer, []byte("MAIL FROM:<a@x>\r\nDATA\r\n"))
	_, _ = p.Parse(flow.ToClient, []byte("220 mx\r\n250 ok\r\n354 go\r\n"))
	_, _ = p.Parse(flow.ToServer, []byte("Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n"))
	piece := bytes.Repeat([]byte(strings.Repeat("QUJD", 19)+"\r\n"), 200)
	b.SetBytes(int64(len(piece)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Parse(flow.ToServer, piece)
	}
}

const envelope = "EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n"

func TestCostIsLinear(t *testing.T) {
	mixed := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	for name, c := range map[string]struct{ before, unit, after string }{
		"commands":          {"", "NOOP\r\n", ""},
		"mails":             {"EHLO c\r\n", "MAIL FROM:<a@x>\r\nBDAT 3 LAST\r\n\r\nx", ""},
		"recipients":        {envelope, "RCPT TO:<b@y>\r\n", ""},
		"one long command":  {"", "aaaaaaaa", ""},
		"small chunks":      {envelope, "BDAT 1\r\nx", ""},
		"lines":             {envelope + "DATA\r\n\r\n", "a\r\n", ".\r\n"},
		"dots":              {envelope + "DATA\r\n\r\n", ".\r", "\r\n.\r\n"},
		"lone dots":         {envelope + "DATA\r\n\r\n", ".\n", "\r\n.\r\n"},
		"stuffed dots":      {envelope + "DATA\r\n\r\n", "..\r\n", ".\r\n"},
		"one long line":     {envelope + "DATA\r\n\r\n", "aaaaaaaa", "\r\n.\r\n"},
		"header fields":     {envelope + "DATA\r\n", "To: a\r\n", "\r\n.\r\n"},
		"folds":             {envelope + "DATA\r\nTo: a", ",\r\n a", "\r\n.\r\n"},
		"encoded words":     {envelope + "DATA\r\nSubject:", " =?utf-8?q?=C3=A9?=", "\r\n\r\n.\r\n"},
		"no encoded words":  {envelope + "DATA\r\nSubject:", "=?a?q?", "?=\r\n\r\n.\r\n"},
		"parameters":        {envelope + "DATA\r\nContent-Type: a;", "a*1=b;", "\r\n\r\n.\r\n"},
		"base64":            {envelope + "DATA\r\nContent-Transfer-Encoding: base64\r\n\r\n", "QUJD\r\n", ".\r\n"},
		"padding":           {envelope + "DATA\r\nContent-Transfer-Encoding: base64\r\n\r\n", "QQ==", "\r\n.\r\n"},
		"quoted-printable":  {envelope + "DATA\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", "=41 =\r\n", ".\r\n"},
		"white space":       {envelope + "DATA\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", "=  \t    ", "\r\n.\r\n"},
		"charset":           {envelope + "DATA\r\nContent-Type: text/plain; charset=gbk\r\n\r\n", "\xc4\xe3\r\n", ".\r\n"},
		"parts":             {envelope + "DATA\r\n" + mixed, "\r\n--b\r\n", "\r\n.\r\n"},
		"delimiters nearly": {envelope + "DATA\r\n" + mixed + "\r\n", "--bb\r\n", ".\r\n"},
		"nested":            {envelope + "DATA\r\n", "Content-Type: message/rfc822\r\n\r\n", ".\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			parsetest.Linear(t, Protocol, func(n int) []parsetest.Step {
				return parsetest.Steps(flow.ToServer, []byte(c.before+strings.Repeat(c.unit, n/len(c.unit))+c.after), bytes.Repeat([]byte("x"), parse.DefaultLimits.Header))
			})
		})
	}
	t.Run("replies", func(t *testing.T) {
		parsetest.Linear(t, Protocol, func(n int) []parsetest.Step {
			return parsetest.Steps(flow.ToClient, bytes.Repeat([]byte("250-ok\r\n"), n/8))
		})
	})
}
