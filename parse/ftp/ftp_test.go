package ftp

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) { parsetest.Run(t, "testdata/control", Protocol) }

func TestDataPlaybooks(t *testing.T) { parsetest.Run(t, "testdata/data", Data) }

func TestLosses(t *testing.T) { parsetest.Loss(t, "testdata/control", Protocol) }

func TestDataLosses(t *testing.T) { parsetest.Loss(t, "testdata/data", Data) }

func TestLinear(t *testing.T) {
	for name, step := range map[string]parsetest.Step{
		"commands":     {Dir: flow.ToServer, Data: []byte("CWD some/folder\r\n")},
		"long command": {Dir: flow.ToServer, Data: []byte("a")},
		"replies":      {Dir: flow.ToClient, Data: []byte("200 Noted.\r\n")},
		"long reply":   {Dir: flow.ToClient, Data: []byte("211-Features\r\n UTF8\r\n")},
	} {
		t.Run(name, func(t *testing.T) {
			parsetest.Linear(t, Protocol, func(n int) []parsetest.Step {
				return parsetest.Steps(step.Dir, []byte(strings.Repeat(string(step.Data), n/len(step.Data))))
			})
		})
	}
}

func FuzzParse(f *testing.F) { parsetest.Fuzz(f, "testdata/control", Protocol) }

func FuzzData(f *testing.F) { parsetest.Fuzz(f, "testdata/data", Data) }

func TestProbe(t *testing.T) {
	for _, tt := range []struct {
		dir  flow.Direction
		text string
		want parse.Match
	}{
		{flow.ToClient, "220 (vsFTPd 3.0.3)\r\n", parse.Maybe}, // so does SMTP greet
		{flow.ToClient, "220 (vsFTPd 3.0.3)\r\n221 Goodbye.\r\n", parse.Yes},
		{flow.ToClient, "220-Welcome\r\n  to this place\r\n220 ready\r\n331 Password?\r\n", parse.Yes},
		{flow.ToClient, "220 mail.example ESMTP\r\n250-mail.example\r\n", parse.Maybe},
		{flow.ToClient, "331 Password?\r\n", parse.Yes}, // behind TLS
		{flow.ToClient, "200 news.example ready\r\n", parse.Maybe},
		{flow.ToClient, "+OK ready\r\n", parse.No},
		{flow.ToClient, "SSH-2.0-OpenSSH_9.2\r\n", parse.No},
		{flow.ToClient, "22", parse.Maybe},
		{flow.ToClient, "2200 is a number", parse.No},
		{flow.ToServer, "us", parse.Maybe},
		{flow.ToServer, "USER alice\r\n", parse.Maybe}, // of POP3, too
		{flow.ToServer, "USER alice\r\nPASS x\r\nSYST\r\n", parse.Yes},
		{flow.ToServer, "feat\r\n", parse.Yes},
		{flow.ToServer, "AUTH TLS\r\n", parse.Yes},
		{flow.ToServer, "AUTH PLAIN\r\n", parse.No},
		{flow.ToServer, "PBSZ 0", parse.Yes},
		{flow.ToServer, "EHLO a\r\n", parse.No},
		{flow.ToServer, "GET / HTTP/1.1\r\n", parse.No},
		{flow.ToServer, "NICK a\r\nUSER a 0 * :a\r\n", parse.No},
		{flow.ToServer, "\x16\x03\x01", parse.No},
	} {
		if got := probe(tt.dir, []byte(tt.text)); got != tt.want {
			t.Errorf("%s %q: got %d, want %d", tt.dir, tt.text, got, tt.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		text  string
		parse func(string) (parse.Listener, bool)
		want  string // empty: refused
	}{
		{"192,168,150,90,195,149", parsePort, "192.168.150.90:50069"},
		{" 10, 0, 0, 1, 4, 1 ", parsePort, "10.0.0.1:1025"},
		{"10,0,0,1,0,0", parsePort, ""},
		{"10,0,0,256,4,1", parsePort, ""},
		{"10,0,0,1,4", parsePort, ""},
		{"10,0,0,1,4,1,1", parsePort, ""},
		{"", parsePort, ""},
		{"227 Entering Passive Mode (0,0,0,0,4,1).", parsePASV, "invalid IP:1025"},
		{"227 Entering Passive Mode (10,0,0,1,4,1).", parsePASV, "10.0.0.1:1025"},
		{"227 =10,0,0,1,4,1", parsePASV, "10.0.0.1:1025"},
		{"227", parsePASV, ""},
		{"227 no", parsePASV, ""},
		{"|1|132.235.1.2|6275|", parseEPRT, "132.235.1.2:6275"},
		{"|2|1080::8:800:200C:417A|5282|", parseEPRT, "[1080::8:800:200c:417a]:5282"},
		{"|1|1080::8|5282|", parseEPRT, ""},
		{"|3|132.235.1.2|6275|", parseEPRT, ""},
		{"|1|132.235.1.2|0|", parseEPRT, ""},
		{"|1|132.235.1.2|6275", parseEPRT, ""},
		{"229 Entering Extended Passive Mode (|||6446|)", parseEPSV, "invalid IP:6446"},
		{"229 ok (!!!6446!)", parseEPSV, "invalid IP:6446"},
		{"229 (|||66446|)", parseEPSV, ""},
		{"229 |||6446|", parseEPSV, ""},
	} {
		at, ok := tt.parse(tt.text)
		got := ""
		if ok {
			got = flow.Endpoint{IP: at.Address, Port: at.Port}.String()
		}
		if got != tt.want && !(strings.HasPrefix(tt.want, "invalid") && !at.Address.IsValid() && ok) {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// TestPasswordsAreNotKept looks for one wherever a client may have put it.
func TestPasswordsAreNotKept(t *testing.T) {
	const secret = "hunter2"
	for _, line := range []string{"PASS hunter2", "pass hunter2", "PASS " + strings.Repeat("hunter2", 1000), "ACCT hunter2", "ADAT hunter2", "SITE PSWD old hunter2", "\xff\xf4\xff\xf2PASS hunter2", "hunter2", "hunter2 x"} {
		steps := parsetest.Steps(flow.ToServer, []byte(line+"\r\n"))
		for _, b := range parsetest.Bodies(t, steps, Protocol) {
			if strings.Contains(text(b), secret) {
				t.Errorf("%q: it is in %s", line, text(b))
			}
		}
		steps = append(parsetest.Steps(flow.ToServer, []byte("USER a\r\nPASS hun")), parsetest.Step{Dir: flow.ToServer, Gap: 4, IsGap: true},
			parsetest.Step{Dir: flow.ToServer, Data: []byte("PASS hunter2\r\nPASS hunter2")})
		for _, b := range parsetest.Bodies(t, steps, Protocol) {
			if strings.Contains(text(b), secret) {
				t.Errorf("behind a loss: it is in %s", text(b))
			}
		}
	}
}

// text returns all that an event says.
func text(b event.Body) string {
	r, err := json.Marshal((&event.Event{Body: b}).Record())
	if err != nil {
		panic(err)
	}
	return string(r)
}
