package all_test

import (
	"slices"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
)

// TestProtocolsThatGreetAlike checks that servers which begin with the same code are told apart by their clients, whoever speaks
// first, and that nobody is taken for another before that.
func TestProtocolsThatGreetAlike(t *testing.T) {
	const toS, toC = flow.ToServer, flow.ToClient
	type line struct {
		dir  flow.Direction
		data string
	}
	for name, c := range map[string]struct {
		want  string
		lines []line
	}{
		"mail server that says so":       {"smtp", []line{{toC, "220 mx.example ESMTP Postfix\r\n"}}},
		"mail server that does not":      {"smtp", []line{{toC, "220 mx.example ready\r\n"}, {toS, "EHLO c\r\n"}, {toC, "250 ok\r\n"}}},
		"mail client that does not wait": {"smtp", []line{{toS, "HELO c\r\n"}, {toC, "220 ready\r\n"}}},
		"mail client without a hello":    {"smtp", []line{{toC, "220 ready\r\n"}, {toS, "NOOP\r\n"}, {toC, "250 ok\r\n"}, {toS, "MAIL FROM:<a@x>\r\n"}}},
		"mail inside of TLS":             {"smtp", []line{{toS, "EHLO c\r\n"}, {toC, "250-mx\r\n250 PIPELINING\r\n"}}},
		"file server that says so":       {"ftp", []line{{toC, "220 (vsFTPd 3.0.3)\r\n"}, {toS, "USER a\r\n"}, {toC, "331 password\r\n"}}},
		"file server that does not":      {"ftp", []line{{toC, "220 ready\r\n"}, {toS, "USER a\r\n"}, {toC, "331 password\r\n"}}},
		"file server that mentions mail": {"ftp", []line{{toC, "220 FTP server, for mail use SMTP\r\n"}, {toS, "USER a\r\n"}, {toC, "331 password\r\n"}}},
		"file server with TLS":           {"ftp", []line{{toC, "220 ready\r\n"}, {toS, "AUTH TLS\r\n"}, {toC, "234 go\r\n"}}},
		"somebody else":                  {"unknown", []line{{toC, "220 ready\r\n"}, {toS, "WHATEVER\r\n"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			i := inspect.New(inspect.Config{
				Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Time: time.Second,
				Emit: func(e *event.Event) {
					if c, ok := e.Body.(*event.Conn); ok {
						got = c.Protocols
					}
				},
			})
			s := i.Open(flow.NewConn(1, flow.Tuple{Proto: flow.TCP}, time.Unix(1, 0)))
			for _, l := range c.lines {
				s.Data(l.dir, time.Unix(1, 0), []byte(l.data))
			}
			s.Close(time.Unix(1, 0))
			if !slices.Equal(got, []string{c.want}) {
				t.Errorf("taken for %q, want %s", got, c.want)
			}
		})
	}
}
