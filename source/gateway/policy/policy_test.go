package policy_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/config"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// parse reads rules in the form that people write.
func parse(text string) (*policy.Table, error) {
	var r policy.Rules
	if err := config.Decode([]byte(text), &r); err != nil {
		return nil, err
	}
	return policy.Compile(r)
}

const example = `
policies:
- id: servers
  scopes:
  - {id: db, sources: [10.1.0.0/16, 10.9.9.9], destinations: [192.0.2.0/24], destination_ports: [8443/8450, 443/443]}
- id: off
  disabled: true
  scopes: [{id: all, sources: [0.0.0.0/0], destinations: [0.0.0.0/0], destination_ports: [0/65535]}]
- id: office
  authority: second
  cases: {no_name: block, not_tls: bypass}
  scopes:
  - {id: six, sources: ["2001:db8::/32"], destinations: ["::/0"]}
  - {id: web, sources: [10.0.0.0/8], source_ports: [1024/65535], destinations: [0.0.0.0/0]}
block:
- {id: bad, names: [evil.example, "*.evil.example"], addresses: [203.0.113.0/24], reason: malware}
bypass:
- {id: bank, names: ["*.bank.example", Bank.Example], reason: privacy}
- {id: shadowed, names: [evil.example, "*.a.bank.example"], reason: never for what is blocked}
- {id: partner, addresses: [198.51.100.7], reason: pinned}
`

func TestDecide(t *testing.T) {
	table, err := parse(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ client, server, name, want string }{
		{"10.1.2.3:40000", "192.0.2.9:443", "db.example", "inspect servers/db"},
		{"10.1.2.3:40000", "192.0.2.9:8450", "", "inspect servers/db"},
		{"10.1.2.3:40000", "192.0.2.9:8451", "", "bypass /"},
		{"10.9.9.9:40000", "192.0.2.9:443", "", "inspect servers/db"},
		{"10.9.9.8:40000", "192.0.2.9:443", "", "inspect office/web"},
		{"10.9.9.8:1023", "192.0.2.9:443", "", "bypass /"},
		{"[::ffff:10.9.9.8]:2000", "[::ffff:192.0.2.9]:443", "", "inspect office/web"},
		{"[2001:db8::1]:2000", "[2001:db8::2]:443", "x.example", "inspect office/six"},
		{"[2001:db9::1]:2000", "[2001:db8::2]:443", "x.example", "bypass /"},
		{"10.1.2.3:40000", "192.0.2.9:443", "evil.example", "block servers/db bad"},
		{"10.1.2.3:40000", "192.0.2.9:443", "A.B.Evil.Example.", "block servers/db bad"},
		{"10.1.2.3:40000", "192.0.2.9:443", "notevil.example", "inspect servers/db"},
		{"10.1.2.3:40000", "203.0.113.5:443", "good.example", "block office/web bad"},
		{"172.16.0.1:40000", "203.0.113.5:22", "", "block / bad"},
		{"10.1.2.3:40000", "192.0.2.9:443", "bank.example", "bypass servers/db bank"},
		{"10.1.2.3:40000", "192.0.2.9:443", "my.bank.example", "bypass servers/db bank"},
		{"10.1.2.3:40000", "192.0.2.9:443", "x.a.bank.example", "bypass servers/db shadowed"},
		{"10.1.2.3:40000", "198.51.100.7:443", "", "bypass office/web partner"},
		{"10.1.2.3:40000", "198.51.100.7:80", "", "bypass /"},
		{"10.1.2.3:40000", "192.0.2.9:443", "....", "inspect servers/db"},
	} {
		d := table.Decide(policy.Conn{Client: netip.MustParseAddrPort(tt.client), Server: netip.MustParseAddrPort(tt.server), Name: tt.name})
		if got := strings.TrimSpace(fmt.Sprintf("%s %s/%s %s", d.Action, d.ID, d.Scope, d.Rule)); got != tt.want {
			t.Errorf("%s to %s (%s): %s, want %s", tt.client, tt.server, tt.name, got, tt.want)
		}
	}
	d := table.Decide(policy.Conn{Client: netip.MustParseAddrPort("10.9.9.8:2000"), Server: netip.MustParseAddrPort("192.0.2.9:443")})
	want := policy.Decision{
		Policy: flow.Policy{ID: "office", Scope: "web", Action: flow.Inspect}, Authority: "second", RefusesQUIC: true,
		Cases: policy.Cases{BadCertificate: policy.Mirror, ClientCertificate: policy.Bypass, Unsupported: policy.Bypass, NoName: policy.Block, Pinned: policy.Bypass, NotTLS: policy.Bypass, OverCapacity: policy.Bypass},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	scope := func(fields string) string {
		return "policies: [{id: p, scopes: [{id: s, sources: [10.0.0.1], destinations: [0.0.0.0/0]" + fields + "}]}]"
	}
	for name, tt := range map[string]struct{ text, want string }{
		"none":                 {"", ""},
		"unknown key":          {scope(", ports: [1/2]"), `unknown key "policies.scopes.ports"`},
		"one port":             {scope(", source_ports: [443]"), `"443" is no range of ports: write first/last`},
		"ports backwards":      {scope(", source_ports: [2/1]"), "no range of ports"},
		"no such port":         {scope(", source_ports: [1/65536]"), "no range of ports"},
		"bits behind a prefix": {"bypass: [{id: b, addresses: [10.0.0.1/8]}]", "write 10.0.0.0/8"},
		"no address":           {"bypass: [{id: b, addresses: [10.0.0]}]", "no address and no CIDR"},
		"mapped address":       {`bypass: [{id: b, addresses: ["::ffff:1.2.3.4"]}]`, "no address and no CIDR"},
		"zone":                 {`bypass: [{id: b, addresses: ["fe80::1%eth0"]}]`, "no address and no CIDR"},
		"no id":                {"policies: [{name: x}]", `policy "": id must have`},
		"id twice":             {"policies: [{id: a}, {id: a}]", `policy "a": id is there twice`},
		"scope id twice":       {"policies: [{id: p, scopes: [{id: s, sources: [10.0.0.2], destinations: [10.0.0.2]}, {id: s, sources: [10.0.0.2], destinations: [10.0.0.2]}]}]", `scope "s": id is there twice`},
		"rule id twice":        {"block: [{id: a, names: [x]}]\nbypass: [{id: a, names: [y]}]", `rule "a": id is there twice`},
		"hostile id":           {`policies: [{id: "a\eb"}]`, "id must have"},
		"no sources":           {"policies: [{id: p, scopes: [{id: s, destinations: [10.0.0.2]}]}]", "0 sources: at least 1, at most 1000"},
		"no destinations":      {"policies: [{id: p, scopes: [{id: s, sources: [10.0.0.2]}]}]", "0 destinations: at least 1, at most 100"},
		"empty rule":           {"block: [{id: b, reason: x}]", "it would never apply"},
		"star inside":          {`block: [{id: b, names: ["a.*.example"]}]`, "is no name"},
		"all names":            {`block: [{id: b, names: ["*"]}]`, "is no name"},
		"name beyond ASCII":    {`block: [{id: b, names: ["bücher.example"]}]`, "xn--..."},
		"wrong choice":         {"policies: [{id: p, cases: {bad_certificate: bypass}}]", `cases.bad_certificate is "bypass": want one of ["mirror" "block"]`},
		"eleven scopes":        {"policies: [{id: p, scopes: [" + strings.Repeat("{id: a},", 11) + "]}]", "11 scopes: at most 10"},
		"1,001 sources":        {"policies: [{id: p, scopes: [{id: s, destinations: [10.0.0.2], sources: [" + strings.Repeat("10.0.0.2,", 1001) + "]}]}]", "1001 sources"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(tt.text)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestQuota has the scopes of the example: 200 x 2 x 5 x 10 fits exactly, one more range does not.
func TestQuota(t *testing.T) {
	scope := policy.Scope{ID: "s", SourcePorts: make([]policy.Ports, 2), DestinationPorts: make([]policy.Ports, 10)}
	scope.Sources, scope.Destinations = make([]policy.Addresses, 200), make([]policy.Addresses, 5)
	r := policy.Rules{Policies: []policy.Policy{{ID: "p", Scopes: []policy.Scope{scope}}}}
	if n := r.Quota(); n != policy.MaxQuota || r.Validate() != nil {
		t.Errorf("quota %d, %v", n, r.Validate())
	}
	small := policy.Scope{ID: "t", Sources: make([]policy.Addresses, 3), Destinations: make([]policy.Addresses, 2)}
	r.Policies = append(r.Policies, policy.Policy{ID: "q", Disabled: true, Scopes: []policy.Scope{small}})
	err := r.Validate()
	want := "the scopes need 20006 of a quota of 20000, 6 too many; the largest are " +
		"p/s: 200 sources x 2 source port ranges x 5 destinations x 10 destination port ranges = 20000; " +
		"q/t: 3 sources x 1 source port ranges x 2 destinations x 1 destination port ranges = 6"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestTextForms(t *testing.T) {
	for _, text := range []string{"192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "::1", "0.0.0.0/0"} {
		var a policy.Addresses
		if err := a.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := a.MarshalText(); err != nil || string(b) != text {
			t.Errorf("%s is written as %s, %v", text, b, err)
		}
	}
	if b, err := policy.AnyPort.MarshalText(); err != nil || string(b) != "0/65535" {
		t.Errorf("all ports are written as %s, %v", b, err)
	}
}

// TestFullTableIsFast decides with all that a person may write: 20,000 combinations and 10,000 rules.
func TestFullTableIsFast(t *testing.T) {
	decide := func(n int) func() {
		var r policy.Rules
		for i := range n {
			r.Bypass = append(r.Bypass, policy.Exception{ID: fmt.Sprint("r", i), Names: []string{fmt.Sprintf("*.n%d.example", i)}})
		}
		table, err := policy.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Repeat("a.", 100) + "example"
		return func() {
			for range 2000 {
				table.Decide(policy.Conn{Client: netip.MustParseAddrPort("10.0.0.1:1"), Server: netip.MustParseAddrPort("10.0.0.1:1"), Name: name})
			}
		}
	}
	once, twice := decide(2500), decide(5000)
	testkit.Linear(t, 1, func(size int) {
		if size == 1 {
			once()
		} else {
			twice()
		}
	})
}

// FuzzImport reads rules as people may write them, and decides by them.
func FuzzImport(f *testing.F) {
	f.Add([]byte(example), "a.bank.example")
	f.Add([]byte("policies: [{id: a, scopes: [{id: b, sources: [0.0.0.0/0], destinations: [0.0.0.0/0], source_ports: [0/65535]}]}]"), "")
	conn := policy.Conn{Client: netip.MustParseAddrPort("10.1.2.3:40000"), Server: netip.MustParseAddrPort("[::ffff:192.0.2.9]:443")}
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		table, err := parse(string(text))
		if err != nil {
			if errors.Unwrap(err) == err || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("the error repeats what a terminal obeys: %q", err)
			}
			return
		}
		conn.Name = name
		d := table.Decide(conn)
		if d.Action == flow.Inspect && (d.ID == "" || d.Scope == "" || d.Rule != "" || d.Cases.NotTLS == policy.ByDefault) {
			t.Errorf("inspects by %+v", d)
		}
		if d.Action == flow.Block && d.Rule == "" {
			t.Errorf("blocks by nobody's word: %+v", d)
		}
	})
}
