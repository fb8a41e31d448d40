package filter

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func compile(t *testing.T, r Rules) *Filter {
	t.Helper()
	f, err := Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The machine of the tests.
var (
	curl  = &flow.Process{PID: 10, Name: "curl", Exe: "/usr/bin/curl", CommandLine: "curl https://example.com/", UID: 1000}
	nginx = &flow.Process{PID: 20, Name: "nginx", Exe: "/usr/sbin/nginx", CommandLine: "nginx: worker process", UID: 33}
	shop  = &flow.Process{PID: 30, Name: "python3", Exe: "/usr/bin/python3.11", CommandLine: "python3 manage.py runserver", UID: 0}
	pod   = &flow.Container{ID: "1", Image: "registry.example.com/shop:1.2", Pod: "shop-0", Namespace: "store"}
	gone  = &flow.Process{PID: 40, Name: "short"} // ended before more could be read
)

func TestProcess(t *testing.T) {
	type verdicts struct{ curl, nginx, shop, gone Verdict }
	for _, tc := range []struct {
		name string
		mode Mode
		rule Rule
		want verdicts
	}{
		{"pid", Only, Rule{PID: 10}, verdicts{Take, Drop, Drop, Drop}},
		{"not a pid", Except, Rule{PID: 10}, verdicts{Drop, Take, Take, Take}},
		{"exe", Only, Rule{Exe: "/usr/bin/*"}, verdicts{Take, Drop, Take, Drop}},
		{"exe as a whole", Only, Rule{Exe: "curl"}, verdicts{Drop, Drop, Drop, Drop}},
		{"case", Only, Rule{Name: "CURL"}, verdicts{Drop, Drop, Drop, Drop}},
		{"question mark", Only, Rule{Name: "????"}, verdicts{Take, Drop, Drop, Drop}},
		{"star alone is any text", Only, Rule{Exe: "*"}, verdicts{Take, Take, Take, Drop}},
		{"not regular expressions", Only, Rule{Exe: "/usr/bin/python3.1."}, verdicts{Drop, Drop, Drop, Drop}},
		{"command line", Only, Rule{CommandLine: "* manage.py *"}, verdicts{Drop, Drop, Take, Drop}},
		{"image", Except, Rule{Image: "registry.example.com/*:1.?"}, verdicts{Take, Take, Drop, Take}},
		{"namespace", Only, Rule{Namespace: "st*"}, verdicts{Drop, Drop, Take, Drop}},
		{"user id", Only, Rule{User: "33"}, verdicts{Drop, Take, Drop, Drop}},
		{"user name", Only, Rule{User: "root", Name: "python*"}, verdicts{Drop, Drop, Take, Drop}},
		{"all must be true", Only, Rule{Exe: "/usr/bin/*", User: "1000", Name: "c*"}, verdicts{Take, Drop, Drop, Drop}},
		{"all must be true, and are not", Only, Rule{Exe: "/usr/bin/*", User: "33"}, verdicts{Drop, Drop, Drop, Drop}},
		{"port", Only, Rule{Ports: []string{"443"}}, verdicts{Ask, Ask, Ask, Ask}},
		{"port of some", Except, Rule{Exe: "*/nginx", Direction: Incoming}, verdicts{Take, Ask, Take, Take}},
		{"namespace and port", Only, Rule{Namespace: "store", Ports: []string{"1-5"}}, verdicts{Drop, Drop, Ask, Drop}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := compile(t, Rules{tc.mode, []Rule{tc.rule}})
			got := verdicts{f.Process(curl, nil).Verdict, f.Process(nginx, nil).Verdict, f.Process(shop, pod).Verdict, f.Process(gone, nil).Verdict}
			if got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestRulesTogether(t *testing.T) {
	rules := []Rule{{Name: "nginx", Direction: Incoming}, {Name: "nginx", Ports: []string{"8080"}}, {Exe: "*/curl", Ports: []string{"1"}}, {PID: 10}}
	only, except := compile(t, Rules{Only, rules}), compile(t, Rules{Except, rules})
	for _, p := range []struct {
		process      *flow.Process
		only, except Verdict
	}{{curl, Take, Drop}, {nginx, Ask, Ask}, {shop, Drop, Take}} {
		if got := only.Process(p.process, nil).Verdict; got != p.only {
			t.Errorf("only: %s is %v, want %v", p.process.Name, got, p.only)
		}
		if got := except.Process(p.process, nil).Verdict; got != p.except {
			t.Errorf("except: %s is %v, want %v", p.process.Name, got, p.except)
		}
	}
	for _, c := range []struct {
		port uint16
		dir  Direction
		fits bool
	}{{443, Incoming, true}, {443, Outgoing, false}, {8080, Outgoing, true}, {8080, Incoming, true}} {
		if got := only.Process(nginx, nil).Conn(c.port, c.dir); got != c.fits {
			t.Errorf("only: %v is %v", c, got)
		}
		if got := except.Process(nginx, nil).Conn(c.port, c.dir); got == c.fits {
			t.Errorf("except: %v is %v", c, got)
		}
	}
}

func TestPorts(t *testing.T) {
	d := compile(t, Rules{Only, []Rule{{Ports: []string{"443", "8000-8999", "65535"}}}}).Process(curl, nil)
	for port, want := range map[uint16]bool{0: false, 1: false, 442: false, 443: true, 444: false, 7999: false, 8000: true, 8500: true, 8999: true, 9000: false, 65535: true} {
		if got := d.Conn(port, Outgoing); got != want {
			t.Errorf("port %d: %v", port, got)
		}
	}
}

// TestInDoubtLeftOut has connections of which the kernel could not tell all.
func TestInDoubtLeftOut(t *testing.T) {
	for name, rule := range map[string]Rule{"port": {Ports: []string{"443"}}, "direction": {Direction: Outgoing}, "both": {Ports: []string{"443"}, Direction: Outgoing}} {
		for _, mode := range []Mode{Only, Except} {
			if compile(t, Rules{mode, []Rule{rule}}).Process(curl, nil).Conn(0, "") {
				t.Errorf("%s %s: a connection of which nothing is known is taken", mode, name)
			}
		}
	}
	d := compile(t, Rules{Except, []Rule{{Ports: []string{"443"}, Direction: Outgoing}}}).Process(curl, nil)
	if !d.Conn(80, "") || !d.Conn(0, Incoming) {
		t.Error("a connection is left out although what is known of it can't fit")
	}
}

func TestEverything(t *testing.T) {
	for name, r := range map[string]Rules{"zero": {}, "said": {Mode: Everything}, "no flags": FromFlags(nil, nil)} {
		d := compile(t, r).Process(gone, nil)
		if d.Verdict != Take || !d.Conn(0, "") {
			t.Errorf("%s: %v", name, d)
		}
	}
}

func TestFromFlags(t *testing.T) {
	f := compile(t, FromFlags([]int{30}, []string{"curl", "/usr/sbin/n*"}))
	for _, p := range []*flow.Process{curl, nginx, shop} {
		if f.Process(p, nil).Verdict != Take {
			t.Errorf("%s is left out", p.Name)
		}
	}
	for _, p := range []*flow.Process{gone, {PID: 31, Exe: "/usr/bin/notcurl"}, {PID: 32, Exe: "/opt/usr/sbin/nginx"}} {
		if f.Process(p, nil).Verdict != Drop {
			t.Errorf("%v is taken", p)
		}
	}
}

func TestMistakes(t *testing.T) {
	one := func(r Rule) Rules { return Rules{Only, []Rule{{PID: 1}, r}} }
	for _, tc := range []struct {
		name  string
		rules Rules
		want  string
	}{
		{"mode", Rules{Mode: "all"}, `mode: "all" is not known`},
		{"rules without a mode", Rules{Rules: []Rule{{PID: 1}}}, "rules: a filter that takes everything has no rules"},
		{"no rules", Rules{Mode: Except}, "rules: at least one"},
		{"too many", Rules{Only, make([]Rule, maxRules+1)}, "rules: there are 65"},
		{"empty rule", one(Rule{}), "rules[1]: the rule says nothing"},
		{"pid", one(Rule{PID: -1}), "rules[1].pid: "},
		{"user", one(Rule{User: "nobody-has-this-name"}), `rules[1].user: this machine knows no user "nobody-has-this-name"`},
		{"user pattern", one(Rule{User: "www*"}), "rules[1].user: it is a name or a number"},
		{"negative user", one(Rule{User: "-1"}), "rules[1].user: "},
		{"port", one(Rule{Ports: []string{"1", "http"}}), `rules[1].ports[1]: "http" is neither`},
		{"port 0", one(Rule{Ports: []string{"0-9"}}), "rules[1].ports[0]: "},
		{"large port", one(Rule{Ports: []string{"65536"}}), "rules[1].ports[0]: "},
		{"backward range", one(Rule{Ports: []string{"9-8"}}), `rules[1].ports[0]: the range "9-8" ends`},
		{"too many ports", one(Rule{Ports: make([]string, maxPorts+1)}), "rules[1].ports: "},
		{"direction", one(Rule{Direction: "in"}), `rules[1].direction: "in"`},
		{"space", one(Rule{Image: "nginx "}), "rules[1].image: it begins or ends with a space"},
		{"control", one(Rule{CommandLine: "a\nb"}), "rules[1].command_line: there is a control character"},
		{"not UTF-8", one(Rule{Exe: "/opt/\xe8"}), "rules[1].exe: it is not UTF-8"},
		{"long", one(Rule{Namespace: strings.Repeat("a", maxText+1)}), "rules[1].namespace: it is longer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := Compile(tc.rules)
			if m, ok := errors.AsType[*Mistake](err); !ok || f != nil || !strings.HasPrefix(m.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestTextForms has the same rules as configuration and as the API's JSON.
func TestTextForms(t *testing.T) {
	const text = "mode: except\nrules:\n- {exe: /usr/bin/*, ports: [443, 8000-8999]}\n- {pid: 7, user: 0, direction: incoming}\n"
	want := Rules{Except, []Rule{{Exe: "/usr/bin/*", Ports: []string{"443", "8000-8999"}}, {PID: 7, User: "0", Direction: Incoming}}}
	var got Rules
	if err := yaml.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	asJSON, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	const wantJSON = `{"mode":"except","rules":[{"exe":"/usr/bin/*","ports":["443","8000-8999"]},{"pid":7,"user":"0","direction":"incoming"}]}`
	if string(asJSON) != wantJSON {
		t.Errorf("got %s", asJSON)
	}
}

func TestGlobsAreLinear(t *testing.T) {
	g, text := glob("*a*a*a?a*ab"), strings.Repeat("a", 1<<19)
	testkit.Linear(t, 1<<18, func(size int) { g.fits(text[:size]) })
}

func FuzzGlob(f *testing.F) {
	f.Add("*a?c*", "xxabcd")
	f.Add(`\*[`, `\x[`)
	f.Add("**?", "é")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 64 || len(text) > 256 || text == "" || !utf8.ValidString(pattern) || !utf8.ValidString(text) {
			return
		}
		if got, want := glob(pattern).fits(text), simpleGlob([]rune(pattern), []rune(text)); got != want {
			t.Errorf("%q fits %q: %v, want %v", pattern, text, got, want)
		}
	})
}

// simpleGlob is another implementation: a table of which beginnings fit.
func simpleGlob(pattern, text []rune) bool {
	row := make([]bool, len(text)+1)
	row[0] = true
	for _, p := range pattern {
		next := make([]bool, len(text)+1)
		for i := range next {
			switch {
			case p == '*':
				next[i] = row[i] || i > 0 && next[i-1]
			case i > 0:
				next[i] = row[i-1] && (p == '?' || p == text[i-1])
			}
		}
		row = next
	}
	return row[len(text)]
}
