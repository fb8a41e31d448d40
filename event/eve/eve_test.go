package eve

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

var (
	at   = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	conn = func() *flow.Conn {
		c := flow.NewConn(0, flow.Tuple{
			Proto:  flow.TCP,
			Client: flow.Endpoint{IP: netip.MustParseAddr("10.0.0.1"), Port: 40000},
			Server: flow.Endpoint{IP: netip.MustParseAddr("2001:db8::1"), Port: 443},
		}, at.Add(-time.Second))
		c.TLS = &flow.TLS{SNI: "example.com", Version: "TLS 1.3", ALPN: "h2", JA3: "abc"}
		c.Decryption = flow.Decryption{State: flow.DecryptedYes, Source: flow.FromKeys}
		return c
	}()
)

// encode returns the line as the generic value that any reader of EVE sees.
func encode(t *testing.T, bodies bool, body event.Body) map[string]any {
	t.Helper()
	var buf bytes.Buffer
	ev := event.Event{ID: conn.EventID(at, 0), Time: at, Conn: conn, Proto: "http1", Body: body}
	if err := NewEncoder(&buf, bodies).Encode(ev.Record()); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(buf.Bytes(), []byte("\n")); n != 1 {
		t.Fatalf("got %d lines", n)
	}
	var m map[string]any
	if err := json.Unmarshal(buf.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCommonFields(t *testing.T) {
	m := encode(t, false, &event.Anomaly{Code: "x"})
	delete(m, "flow_id")
	delete(m, "community_id")
	v := m["vitrine"].(map[string]any)
	delete(v, "id")
	delete(v, "conn_id")
	want := map[string]any{
		"timestamp": "2026-01-02T03:04:05.678901+0000", "event_type": "anomaly", "src_ip": "10.0.0.1", "src_port": 40000.0,
		"dest_ip": "2001:db8::1", "dest_port": 443.0, "proto": "TCP", "app_proto": "http",
		"anomaly": map[string]any{"type": "applayer", "event": "x", "layer": "proto_parser"},
		"vitrine": map[string]any{"decrypted": "yes", "decrypt_source": "keys"},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Coverage is of a process and no connection, which Suricata has no event for.
func TestCoverage(t *testing.T) {
	ev := event.Event{
		ID: event.ID{1}, Time: at, Origin: event.Origin{Agent: "host", Vantage: event.Probe},
		Process: &flow.Process{PID: 4711, Name: "java", Exe: "/opt/java/bin/java", UID: 1000}, Container: &flow.Container{ID: "abc", Pod: "shop"},
		Body: &event.Coverage{State: event.NotCovered, Reason: event.UnknownLibrary, Detail: "its TLS is Java's own"},
	}
	var buf bytes.Buffer
	if err := NewEncoder(&buf, false).Encode(ev.Record()); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(buf.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"timestamp": "2026-01-02T03:04:05.678901+0000", "event_type": "coverage",
		"vitrine": map[string]any{
			"id": ev.ID.String(), "agent": "host", "vantage": "probe",
			"process":   map[string]any{"pid": 4711.0, "name": "java", "exe": "/opt/java/bin/java", "uid": 1000.0},
			"container": map[string]any{"id": "abc", "pod": "shop"},
			"coverage":  map[string]any{"state": "not_covered", "reason": "unknown_library", "detail": "its TLS is Java's own"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBodies(t *testing.T) {
	tests := map[string]struct {
		body  event.Body
		key   string
		want  map[string]any
		event string
	}{
		"http": {
			&event.HTTP{Method: "GET", Host: "example.com", URL: "/a", Status: 200, Version: "HTTP/1.1",
				Request:  &event.Message{Headers: []string{"Host: example.com", "X:"}},
				Response: &event.Message{Content: event.Content{Size: 3, Body: []byte("a\x00\n")}}},
			"http",
			map[string]any{"http_method": "GET", "hostname": "example.com", "url": "/a", "status": 200.0, "protocol": "HTTP/1.1", "length": 3.0,
				"request_headers":              []any{map[string]any{"name": "Host", "value": "example.com"}, map[string]any{"name": "X", "value": ""}},
				"http_response_body_printable": "a.\n"},
			"http",
		},
		"dns": {
			&event.DNS{ID: 7, Name: "example.com", Type: "A", Code: "NOERROR", Answers: []string{"example.com 300 A 192.0.2.1"}},
			"dns",
			map[string]any{"version": 3.0, "type": "response", "id": 7.0, "rrname": "example.com", "rrtype": "A", "rcode": "NOERROR",
				"queries": []any{map[string]any{"rrname": "example.com", "rrtype": "A"}},
				"answers": []any{map[string]any{"rrname": "example.com", "rrtype": "A", "ttl": 300.0, "rdata": "192.0.2.1"}}},
			"dns",
		},
		"tls": {
			&event.TLS{Facts: conn.TLS, Decryption: conn.Decryption}, "tls",
			map[string]any{"sni": "example.com", "version": "TLS 1.3", "server_alpns": []any{"h2"}, "ja3": map[string]any{"hash": "abc"}},
			"tls",
		},
		"file": {
			&event.File{Name: "a.zip", Type: "application/zip", Size: 9, SHA256: "00", State: event.HasGap}, "fileinfo",
			map[string]any{"filename": "a.zip", "mimetype": "application/zip", "size": 9.0, "sha256": "00", "gaps": true, "state": "TRUNCATED", "stored": false, "tx_id": 0.0},
			"fileinfo",
		},
		"ftp": {
			&event.FTP{Tx: 3, Command: "EPSV", Argument: "2", Code: 229, Mode: "passive", Port: 2000, Reply: []string{"120 wait", "229-a", " b", "229-c", "229 (|||2000|)", "200"}},
			"ftp",
			map[string]any{"command": "EPSV", "command_data": "2", "completion_code": []any{"120", "229", "200"}, "dynamic_port": 2000.0, "mode": "passive",
				"reply_received": "yes", "reply": []any{"wait", "a", " b", "c", "(|||2000|)", ""}},
			"ftp",
		},
		"ftp without a reply": {&event.FTP{Command: "PASS"}, "ftp", map[string]any{"command": "PASS", "reply_received": "no"}, "ftp"},
		"ftp_data":            {&event.FTPData{Command: "RETR", Name: "a.zip"}, "ftp_data", map[string]any{"command": "RETR", "filename": "a.zip"}, "ftp_data"},
		"smtp": {
			&event.SMTP{Helo: "c", MailFrom: "<>", RcptTo: []string{"b@y", "c@y"}, Code: 250}, "smtp",
			map[string]any{"helo": "c", "mail_from": "<>", "rcpt_to": []any{"<b@y>", "<c@y>"}},
			"smtp",
		},
		"email": {
			&event.SMTP{Message: &event.Mail{From: "A <a@x>", To: []string{"b@y"}, Subject: "s", ID: "1@x", Attachments: []string{"a.zip"},
				Headers: []string{"Received: from a", "received: from b", "X-Mailer: m"}, Content: event.Content{State: event.Complete}}}, "email",
			map[string]any{"status": "PARSE_DONE", "from": "A <a@x>", "to": []any{"b@y"}, "subject": "s", "message_id": "<1@x>",
				"attachment": []any{"a.zip"}, "received": []any{"from a", "from b"}, "x_mailer": "m"},
			"smtp",
		},
		"conn": {
			&event.Conn{DurationUS: 1_000_000, PacketsToServer: 2, BytesToClient: 5}, "flow",
			map[string]any{"pkts_toserver": 2.0, "pkts_toclient": 0.0, "bytes_toserver": 0.0, "bytes_toclient": 5.0, "age": 1.0, "state": "closed",
				"start": "2026-01-02T03:04:04.678901+0000", "end": "2026-01-02T03:04:05.678901+0000"},
			"flow",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := encode(t, true, tt.body)
			if m["event_type"] != tt.event {
				t.Errorf("event_type is %v", m["event_type"])
			}
			if diff := cmp.Diff(tt.want, m[tt.key]); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestGateway has what only the gateway knows: what it decided, and what is wrong with the server's certificate.
func TestGateway(t *testing.T) {
	ev := event.Event{
		ID: event.ID{1}, Time: at, Origin: event.Origin{Vantage: event.Gateway},
		Conn: &flow.Conn{
			ID: event.ID{2}, TLS: &flow.TLS{Fault: flow.Expired}, Decryption: flow.Decryption{State: flow.DecryptedNo, Reason: flow.BypassedByPolicy},
			Policy: &flow.Policy{ID: "office", Scope: "web", Rule: "banks", Action: flow.Bypass},
		},
		Body: &event.Conn{},
	}
	var buf bytes.Buffer
	if err := NewEncoder(&buf, false).Encode(ev.Record()); err != nil {
		t.Fatal(err)
	}
	var got struct{ Vitrine map[string]any }
	if err := json.Unmarshal(buf.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": ev.ID.String(), "conn_id": ev.Conn.ID.String(), "vantage": "gateway", "decrypted": "no", "reason": "bypassed_by_policy",
		"policy": map[string]any{"id": "office", "scope": "web", "rule": "banks", "action": "bypass"}, "certificate_fault": "expired",
	}
	if diff := cmp.Diff(want, got.Vitrine); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestFinding is an alert of EVE, whose rule has a number.
func TestFinding(t *testing.T) {
	m := encode(t, false, &event.Finding{
		Tx: 3, Engine: "request", Rule: "no-uploads", Class: event.ClassPolicy, Name: "Uploads are denied", Severity: 2, Action: event.Blocked, Reference: "ABCD-2345",
		Application: "dropbox", Activities: []string{"upload"}, Method: "PUT", Host: "example.com", URL: "/a",
	})
	vitrine, _ := m["vitrine"].(map[string]any)
	got := map[string]any{"event_type": m["event_type"], "tx_id": m["tx_id"], "alert": m["alert"], "http": m["http"], "finding": vitrine["finding"]}
	want := map[string]any{
		"event_type": "alert", "tx_id": 3.0,
		"alert": map[string]any{"action": "blocked", "signature_id": 1664639632.0, "signature": "Uploads are denied", "category": "policy", "severity": 2.0},
		"http":  map[string]any{"hostname": "example.com", "url": "/a", "http_method": "PUT"},
		"finding": map[string]any{"engine": "request", "rule": "no-uploads", "class": "policy", "name": "Uploads are denied", "reference": "ABCD-2345",
			"application": "dropbox", "activities": []any{"upload"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
