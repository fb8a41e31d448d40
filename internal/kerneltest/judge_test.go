package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// eve is a line that the probe writes of a transaction of the first exchange, curl's over HTTP/1.1.
func eve(exe string, pid, port int) string {
	return fmt.Sprintf(`{"event_type":"http","src_ip":"127.0.0.1","src_port":%d,"dest_ip":"127.0.0.1","dest_port":8443,`+
		`"http":{"url":"/curl","http_method":"GET","status":200,"length":15},"vitrine":{"decrypted":"yes","decrypt_source":"probe","process":{"pid":%d,"exe":"%s"}}}`, port, pid, exe)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := report{Kind: reportClient, Name: "curl", PID: 7, Output: "127.0.0.1 40000"}
	curl, nginx := eve("/usr/bin/curl", 7, 40000), eve("/usr/sbin/nginx", 3, 40000)
	for _, tt := range []struct {
		name   string
		client report
		events []string
		want   string // of the error; empty for none
	}{
		{"good", good, []string{curl, nginx}, ""},
		{"no client", report{}, []string{curl, nginx}, "did not run"},
		{"client disturbed", report{Kind: reportClient, PID: 7, Status: -1, Text: "crashed"}, []string{curl, nginx}, "crashed"},
		{"not seen at the client", good, []string{nginx}, "client: no transaction"},
		{"not seen at the server", good, []string{curl}, "server: no transaction"},
		{"wrong process", good, []string{eve("/usr/bin/curl", 8, 40000), nginx}, "client: no transaction"},
		{"seen twice", good, []string{curl, curl, nginx}, "two transactions"},
		{"ports differ", good, []string{curl, eve("/usr/sbin/nginx", 3, 40001)}, "the client's port is"},
		{"both ports wrong", good, []string{eve("/usr/bin/curl", 7, 5), eve("/usr/sbin/nginx", 3, 5)}, "the server answers to"},
		{"no port", good, []string{eve("/usr/bin/curl", 7, 0), nginx}, "the client's port is 0"},
		{"no addresses", good, []string{strings.Replace(eve("/usr/bin/curl", 7, 0), "8443", "0", 1), nginx}, "no addresses"},
		{"wrong status", good, []string{strings.Replace(curl, "200", "404", 1), nginx}, "status 404"},
		{"by keys", good, []string{strings.Replace(curl, `"probe"`, `"keys"`, 1), nginx}, `"keys"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var events []eveEvent
			for _, line := range tt.events {
				var e eveEvent
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatal(err)
				}
				events = append(events, e)
			}
			err := exchanges[0].check(tt.client, events)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("check: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestCheckKnowsTheSizeOfBodies(t *testing.T) {
	t.Parallel()
	for i := range exchanges {
		x := &exchanges[i]
		if x.size < 0 {
			continue
		}
		var e eveEvent
		line := strings.NewReplacer(`"/curl"`, `"`+x.path+`"`, `"length":15`, fmt.Sprintf(`"length":%d`, x.size-1)).Replace(eve(x.client, 7, 40000))
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if err := x.check(report{Kind: reportClient, PID: 7}, []eveEvent{e}); err == nil || !strings.Contains(err.Error(), "bytes, want") {
			t.Errorf("%s: a byte is missing: %v", x.Name, err)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	log := `{"kind":"kernel","text":"6.1.0"}
{"kind":"features","features":{"ring_buffer":true}}
{"kind":"ready","run":"default","seconds":2.5}
{"kind":"client","run":"default","name":"curl","pid":7,"output":"127.0.0.1 40000"}
{"kind":"event","run":"default","event":` + eve("/usr/bin/curl", 7, 40000) + `}
{"kind":"event","run":"default","event":` + eve("/usr/sbin/nginx", 3, 40000) + `}
{"kind":"stopped","run":"default","seconds":0.1}
{"kind":"log","run":"legacy","text":"no"}
{"kind":"stopped","run":"legacy","status":1}
`
	reports, err := readReports(strings.NewReader(log))
	if err == nil {
		t.Error("a machine that crashes passes for a good one")
	}
	v := judge("default", reports)
	if v.good() || len(v.trouble) > 0 || v.results[0] != nil || v.results[1] == nil || v.kernel != "6.1.0" || !v.features.RingBuffer {
		t.Errorf("the default run: %+v", v)
	}
	if l := judge("legacy", reports); l.good() || len(l.results) > 0 || len(l.trouble) != 2 {
		t.Errorf("the legacy run: %+v", l)
	}
	var out bytes.Buffer
	v.print(&out, "6.1")
	for _, want := range []string{"ring buffer", "no BTF", "curl ok", "curl-h2 FAIL", "the client did not run"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	if _, err := readReports(strings.NewReader(log + `{"kind":"plan done"}`)); err != nil {
		t.Errorf("a machine that ends as planned: %v", err)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		n    int
		want string
	}{{"a\nb\nc\n", 2, "b\nc\n"}, {"a\nb", 9, "a\nb"}, {"", 1, ""}} {
		if got := string(tail([]byte(tt.text), tt.n)); got != tt.want {
			t.Errorf("the last %d lines of %q: %q, want %q", tt.n, tt.text, got, tt.want)
		}
	}
}
