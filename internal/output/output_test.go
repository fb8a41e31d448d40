package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
)

const hostile = "\x1b[2J\u009b31m\u202e\n\xff"

// hostileRecord has control characters wherever the network can put some.
func hostileRecord() *event.Record {
	return &event.Record{
		Time: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), Kind: event.KindHTTP,
		Client: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.1"), Port: 40000}, Server: flow.Endpoint{IP: netip.MustParseAddr("2001:db8::1"), Port: 443},
		Decryption: flow.Decryption{State: flow.DecryptedYes},
		TLS:        &flow.TLS{SNI: hostile},
		HTTP:       &event.HTTP{Method: hostile, Host: hostile, URL: hostile, Status: 200, ContentType: hostile, Request: &event.Message{Headers: []string{hostile}}},
	}
}

func TestEveryFormatIsOneHarmlessLine(t *testing.T) {
	for _, format := range []string{"json", "eve", "table"} {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			w, err := New(&out, Options{Format: format, Bodies: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(w.Write(hostileRecord()), w.Flush()); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if format == "table" {
				lines = lines[1:] // titles
			} else if !json.Valid([]byte(lines[0])) {
				t.Errorf("no JSON: %s", lines[0])
			}
			if len(lines) != 1 || strings.ContainsAny(lines[0], "\x1b\u009b\u202e") {
				t.Errorf("wrote %q", out.String())
			}
		})
	}
}

func TestNoneWritesNothing(t *testing.T) {
	var out bytes.Buffer
	w, err := New(&out, Options{Format: "none"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(hostileRecord()), w.Flush()); err != nil || out.Len() > 0 {
		t.Errorf("wrote %q, %v", out.String(), err)
	}
}

func TestUnknownFormat(t *testing.T) {
	if _, err := New(new(bytes.Buffer), Options{Format: "xml"}); err == nil {
		t.Error("xml was taken")
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	for _, width := range []int{0, 40, 100} {
		var out bytes.Buffer
		w, err := New(&out, Options{Format: "table", Width: width})
		if err != nil {
			t.Fatal(err)
		}
		r := hostileRecord()
		r.HTTP.URL = strings.Repeat("/中文", 100)
		if err := errors.Join(w.Write(r), w.Flush()); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := terminal.Cells(strings.TrimSuffix(line, "\n")); width > 0 && n > width {
				t.Errorf("a line takes %d columns of %d: %q", n, width, line)
			}
		}
		if width == 0 && !strings.Contains(out.String(), strings.Repeat("/中文", 100)) {
			t.Error("a file gets only a part of the line")
		}
	}
}

// An event of a process has no endpoints, and says nothing in their place.
func TestEventWithoutAConnection(t *testing.T) {
	var out bytes.Buffer
	w, err := New(&out, Options{Format: "table"})
	if err != nil {
		t.Fatal(err)
	}
	r := event.Record{Kind: event.KindCoverage, Coverage: &event.Coverage{State: event.Covered}}
	if err := errors.Join(w.Write(&r), w.Flush()); err != nil {
		t.Fatal(err)
	}
	if row := strings.Split(out.String(), "\n")[1]; !slices.Equal(strings.Fields(row)[2:], []string{"coverage", "covered"}) {
		t.Errorf("wrote %q", row)
	}
}

// The table of what programs do has what was asked for and what came back, whatever the protocol.
func TestTableByProcess(t *testing.T) {
	of := event.Record{Local: flow.ClientSide, Process: &flow.Process{Name: "curl", PID: 7}, Server: flow.Endpoint{IP: netip.MustParseAddr("192.0.2.1"), Port: 21}}
	for _, tc := range []struct {
		body func(*event.Record)
		want string
	}{
		{func(r *event.Record) {
			r.HTTP = &event.HTTP{Method: "GET", Host: "a.example", URL: "/x", Status: 200, Response: &event.Message{Content: event.Content{Size: 3}}}
		}, "curl[7] out a.example GET /x 200 3 B"},
		{func(r *event.Record) { r.Kind, r.FTP = event.KindFTP, &event.FTP{Code: 220} }, "curl[7] out 192.0.2.1:21 ftp 220"},
		{func(r *event.Record) {
			r.Kind, r.FTP = event.KindFTP, &event.FTP{Command: "RETR", Argument: "a.txt", Code: 226}
		}, "curl[7] out 192.0.2.1:21 RETR a.txt 226"},
		{func(r *event.Record) {
			r.Kind, r.FTPData = event.KindFTPData, &event.FTPData{Command: "RETR", Name: "a.txt", Content: event.Content{Size: 3}}
		}, "curl[7] out 192.0.2.1:21 ftp_data RETR a.txt 3 B 3 B"},
	} {
		var out bytes.Buffer
		w, err := New(&out, Options{Format: "table", ByProcess: true})
		if err != nil {
			t.Fatal(err)
		}
		r := of
		tc.body(&r)
		if err := errors.Join(w.Write(&r), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(strings.Split(out.String(), "\n")[1])[1:], " "); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestSummaries(t *testing.T) {
	for _, tc := range []struct {
		record event.Record
		want   string
	}{
		{event.Record{HTTP: &event.HTTP{Method: "GET", Host: "example.com", URL: "/a", Status: 404, ContentType: "text/html"}}, "GET example.com/a 404 text/html"},
		{event.Record{HTTP: &event.HTTP{Method: "GET", Host: "example.com", URL: "/a"}}, "GET example.com/a -"},
		{event.Record{HTTP: &event.HTTP{Method: "CONNECT", Host: "example.com", URL: "example.com:443", Status: 200}}, "CONNECT example.com:443 200"},
		{event.Record{HTTP: &event.HTTP{Method: "GET", Host: "example.com", URL: "http://example.com/a", Status: 200}}, "GET http://example.com/a 200"},
		{event.Record{HTTP: &event.HTTP{Method: "OPTIONS", Host: "example.com", URL: "*", Status: 204}}, "OPTIONS example.com* 204"},
		{event.Record{DNS: &event.DNS{Name: "example.com", Type: "A", Code: "NOERROR", Addresses: []string{"192.0.2.1"}}}, "A example.com NOERROR 192.0.2.1"},
		{event.Record{TLS: &flow.TLS{Version: "TLS 1.3", SNI: "example.com", ALPN: "h2", Cipher: "X"}}, "TLS 1.3 example.com h2 X"},
		{event.Record{Anomaly: &event.Anomaly{Code: "odd"}}, "odd"},
		{event.Record{Conn: &event.Conn{BytesToServer: 1, BytesToClient: 2048, Protocols: []string{"tls", "http1"}}}, "1 B to server, 2.0 KiB to client tls http1"},
		{event.Record{Conn: &event.Conn{Asked: "nowhere.example"}}, "asked for nowhere.example"},
		{event.Record{File: &event.File{Name: "a.png", Type: "image/png", Size: 3, SHA256: "00"}}, "a.png image/png 3 B 00"},
		{event.Record{SMTP: &event.SMTP{MailFrom: "a@x", RcptTo: []string{"b@y", "c@y"}, Code: 250, Message: &event.Mail{Subject: "s"}}}, "a@x to b@y, c@y 250 s"},
		{event.Record{SMTP: &event.SMTP{Mechanism: "PLAIN", User: "u", Login: event.LoginRefused, Code: 535}}, "PLAIN u refused 535"},
		{event.Record{FTP: &event.FTP{Command: "PASS", User: "u", Login: "refused", Code: 530}}, "PASS refused 530"},
		{event.Record{FTP: &event.FTP{Command: "RETR", Argument: "a.txt", Code: 226}}, "RETR a.txt 226"},
		{event.Record{FTPData: &event.FTPData{Command: "RETR", Name: "a.txt", Content: event.Content{Type: "text/plain", Size: 3}}}, "RETR a.txt text/plain 3 B"},
		{event.Record{WebSocket: &event.WebSocket{Direction: "to_server", Opcode: "text", Host: "h", Content: event.Content{Size: 4}}}, "to_server text h 4 B"},
		{event.Record{Unknown: &event.Unknown{BytesToServer: 5}}, "5 B to server, 0 B to client"},
		{event.Record{
			Process:  &flow.Process{Name: "java", PID: 7},
			Coverage: &event.Coverage{State: event.NotCovered, Reason: event.UnknownLibrary, Library: "jsse", Version: "21"},
		}, "not_covered unknown_library java[7] jsse 21"},
		{event.Record{}, ""},
	} {
		if got := summary(&tc.record); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}
