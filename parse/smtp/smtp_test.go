package smtp

import (
	"bytes"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) { parsetest.Run(t, "testdata", Protocol) }

func TestLosses(t *testing.T) { parsetest.Loss(t, "testdata", Protocol) }

func FuzzParse(f *testing.F) { parsetest.Fuzz(f, "testdata", Protocol) }

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
