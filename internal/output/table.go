package output

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
)

// column is one column of the table but the last, which takes what is left.
type column struct {
	title string
	width int
	text  func(*event.Record) string
}

var columns = []column{
	{"TIME", 23, func(r *event.Record) string { return r.Time.Local().Format("2006-01-02 15:04:05.000") }},
	{"KIND", 9, func(r *event.Record) string { return string(r.Kind) }},
	{"CLIENT", 21, func(r *event.Record) string { return endpoint(r.Client) }},
	{"SERVER", 21, func(r *event.Record) string { return endpoint(r.Server) }},
	{"DECRYPTED", 19, decrypted},
}

// endpoint is empty for an event of no connection.
func endpoint(e flow.Endpoint) string {
	if !e.IP.IsValid() {
		return ""
	}
	return e.String()
}

// decrypted says how a TLS connection was seen into, or why not.
func decrypted(r *event.Record) string {
	if r.State != "" && r.Reason != "" {
		return string(r.State) + ":" + string(r.Reason)
	}
	return string(r.State) + string(r.Reason)
}

// byProcess are the columns of a table of what programs do.
var byProcess = []column{
	{"TIME", 12, func(r *event.Record) string { return r.Time.Local().Format("15:04:05.000") }},
	{"PROCESS", 20, processName},
	{"DIR", 3, func(r *event.Record) string {
		return map[flow.Side]string{flow.ClientSide: "out", flow.ServerSide: "in"}[r.Local]
	}},
	{"HOST", 24, host},
	{"METHOD", 9, method},
	{"PATH", 40, path},
	{"STATUS", 6, status},
}

// host is the name that was asked for, or else the server's address.
func host(r *event.Record) string {
	switch {
	case r.HTTP != nil && r.HTTP.Host != "":
		return r.HTTP.Host
	case r.WebSocket != nil && r.WebSocket.Host != "":
		return r.WebSocket.Host
	case r.Conn != nil && r.Conn.Asked != "":
		return r.Conn.Asked
	case r.Server.IP.IsValid():
		return r.Server.String()
	}
	return "-"
}

func method(r *event.Record) string {
	switch {
	case r.HTTP != nil:
		return r.HTTP.Method
	case r.FTP != nil && r.FTP.Command != "":
		return r.FTP.Command
	}
	return string(r.Kind)
}

func path(r *event.Record) string {
	switch {
	case r.HTTP != nil:
		return r.HTTP.URL
	case r.FTP != nil:
		return words(r.FTP.Argument, r.FTP.Login)
	}
	return summary(r)
}

func status(r *event.Record) string {
	switch {
	case r.HTTP != nil:
		return number(r.HTTP.Status)
	case r.SMTP != nil:
		return number(r.SMTP.Code)
	case r.FTP != nil:
		return number(r.FTP.Code)
	}
	return ""
}

// size is how much came back.
func size(r *event.Record) string {
	switch {
	case r.HTTP != nil && r.HTTP.Response != nil:
		return terminal.Bytes(r.HTTP.Response.Size)
	case r.WebSocket != nil:
		return terminal.Bytes(r.WebSocket.Size)
	case r.SMTP != nil && r.SMTP.Message != nil:
		return terminal.Bytes(r.SMTP.Message.Size)
	case r.FTPData != nil:
		return terminal.Bytes(r.FTPData.Size)
	case r.File != nil:
		return terminal.Bytes(r.File.Size)
	}
	return ""
}

// table writes a row for each event below one line of titles.
type table struct {
	out       io.Writer
	width     int
	columns   []column
	title     string // of the last column
	last      func(*event.Record) string
	byProcess bool
	begun     bool
}

func newTable(out io.Writer, o Options) *table {
	t := &table{out: out, width: o.Width, columns: columns, title: "WHAT", last: summary, byProcess: o.ByProcess}
	if o.ByProcess {
		t.columns, t.title, t.last = byProcess, "SIZE", size
	}
	return t
}

func (t *table) row(r *event.Record) error {
	if t.byProcess && (r.Kind == event.KindConn || r.Kind == event.KindTLS) {
		return nil
	}
	if !t.begun {
		t.begun = true
		if err := t.line(func(c *column) string { return c.title }, t.title); err != nil {
			return err
		}
	}
	return t.line(func(c *column) string { return c.text(r) }, t.last(r))
}

// line writes the cells, escaped. Only the last one is cut to fit a terminal.
func (t *table) line(cell func(*column) string, last string) error {
	var b strings.Builder
	for i := range t.columns {
		b.WriteString(terminal.Fit(terminal.Escape(cell(&t.columns[i])), t.columns[i].width))
		b.WriteByte(' ')
	}
	b.WriteString(terminal.Escape(last))
	text := b.String()
	if t.width > 0 {
		text = terminal.Cut(text, t.width)
	}
	_, err := fmt.Fprintln(t.out, strings.TrimRight(text, " "))
	return err
}

// summary says in a few words what the event is about.
func summary(r *event.Record) string {
	switch {
	case r.HTTP != nil:
		return words(r.HTTP.Method, target(r.HTTP), number(r.HTTP.Status), r.HTTP.ContentType)
	case r.DNS != nil:
		return words(r.DNS.Type, r.DNS.Name, r.DNS.Code, words(r.DNS.Addresses...))
	case r.WebSocket != nil:
		return words(r.WebSocket.Direction, r.WebSocket.Opcode, r.WebSocket.Host, terminal.Bytes(r.WebSocket.Size))
	case r.SMTP != nil:
		return mail(r.SMTP)
	case r.FTP != nil:
		return words(r.FTP.Command, r.FTP.Argument, r.FTP.Login, number(r.FTP.Code))
	case r.FTPData != nil:
		return words(r.FTPData.Command, r.FTPData.Name, r.FTPData.Type, terminal.Bytes(r.FTPData.Size))
	case r.File != nil:
		return words(r.File.Name, r.File.Type, terminal.Bytes(r.File.Size), r.File.SHA256)
	case r.Finding != nil:
		return words(string(r.Finding.Action), r.Finding.Rule, r.Finding.Name, r.Finding.Method, r.Finding.Host+r.Finding.URL)
	case r.Conn != nil && r.Conn.Asked != "" && !r.Server.IP.IsValid(): // nobody was connected to
		return "asked for " + r.Conn.Asked
	case r.Conn != nil:
		return words(traffic(r.Conn.BytesToServer, r.Conn.BytesToClient), words(r.Conn.Protocols...))
	case r.Anomaly != nil:
		return r.Anomaly.Code
	case r.Unknown != nil:
		return traffic(r.Unknown.BytesToServer, r.Unknown.BytesToClient)
	case r.Coverage != nil:
		return words(string(r.Coverage.State), string(r.Coverage.Reason), processName(r), r.Coverage.Library, r.Coverage.Version, r.Coverage.Detail)
	case r.TLS != nil:
		return words(r.TLS.Version, r.TLS.SNI, r.TLS.ALPN, r.TLS.Cipher)
	}
	return ""
}

func processName(r *event.Record) string {
	if r.Process == nil {
		return ""
	}
	return fmt.Sprintf("%s[%d]", r.Process.Name, r.Process.PID)
}

// mail says who wrote to whom, or who tried to log in.
func mail(s *event.SMTP) string {
	if s.MailFrom == "" {
		return words(s.Mechanism, s.User, string(s.Login), s.Helo, number(s.Code))
	}
	subject := ""
	if s.Message != nil {
		subject = s.Message.Subject
	}
	return words(s.MailFrom, "to", strings.Join(s.RcptTo, ", "), number(s.Code), subject)
}

// words joins those that are not empty.
func words(list ...string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" }), " ")
}

func traffic(toServer, toClient uint64) string {
	return fmt.Sprintf("%s to server, %s to client", terminal.Bytes(int64(toServer)), terminal.Bytes(int64(toClient)))
}

func number(n uint16) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// target is what was asked for. Proxies are asked for whole URLs, or for no more than a host.
func target(h *event.HTTP) string {
	if h.URL == "" || h.URL == "*" || h.URL[0] == '/' {
		return h.Host + h.URL
	}
	return h.URL
}
