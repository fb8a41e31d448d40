// Package filter decides whose plaintext the probe takes. Rules written by people go in, and are compiled; facts of a process, and then
// of its connections, go in too; out come verdicts. A process that a verdict drops is passed over in the kernel, where the core puts
// the verdict by process id; only where a rule names ports or a direction, the core asks for each connection, once, and the kernel
// passes over those that are left out. The package knows nothing of BPF, and reads nothing but the names of users.
package filter

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mode says what the rules are for.
type Mode string

const (
	Everything Mode = "everything" // no rules
	Only       Mode = "only"       // what at least one rule fits
	Except     Mode = "except"     // what no rule fits
)

// Rules say whose plaintext is taken. The zero Rules take everything.
type Rules struct {
	Mode  Mode   `yaml:"mode" json:"mode" enum:"everything,only,except" doc:"everything; only what one of the rules fits; or everything except what one of the rules fits"`
	Rules []Rule `yaml:"rules" json:"rules" doc:"rules; none if the mode is everything"`
}

// Rule fits a connection of a process iff all that it says is true of them; what is empty is not looked at. Texts are compared as a
// whole; in them, * stands for any text and ? for one character.
type Rule struct {
	PID         int       `yaml:"pid" json:"pid,omitempty" doc:"process id, in the host's namespace"`
	Exe         string    `yaml:"exe" json:"exe,omitempty" doc:"path of the executable, as the process sees it" example:"/usr/bin/*"`
	Name        string    `yaml:"name" json:"name,omitempty" doc:"command name"`
	CommandLine string    `yaml:"command_line" json:"command_line,omitempty" doc:"command line, its words separated by spaces" example:"python3 *manage.py*"`
	Image       string    `yaml:"image" json:"image,omitempty" doc:"container image" example:"registry.example.com/shop:*"`
	Namespace   string    `yaml:"namespace" json:"namespace,omitempty" doc:"Kubernetes namespace" example:"kube-*"`
	User        string    `yaml:"user" json:"user,omitempty" doc:"name or id of the user that it runs as; no wildcards"`
	Ports       []string  `yaml:"ports" json:"ports,omitempty" doc:"ports of the server side, each one port or a range such as 8000-8999" example:"[\"443\",\"8000-8999\"]"`
	Direction   Direction `yaml:"direction" json:"direction,omitempty" enum:"incoming,outgoing" doc:"incoming: the process is the server; outgoing: the client"`
}

// Direction says which side of a connection a process is. It is empty where that is not known, and in rules that don't care.
type Direction string

const (
	Incoming Direction = "incoming" // the process is the server
	Outgoing Direction = "outgoing" // the process is the client
)

// Bounds of rules. Their work is done for every new process.
const (
	maxRules = 64
	maxPorts = 64
	maxText  = 1024
)

// Mistake is what is wrong with rules.
type Mistake struct {
	Field   string // where, such as rules[2].ports[0]
	Message string // what is wrong and what would be right
}

func (m *Mistake) Error() string { return m.Field + ": " + m.Message }

// FromFlags returns the rules of a command line: only these processes and programs, or everything if none is given. A program that is
// given without a folder may be in any.
func FromFlags(pids []int, exes []string) Rules {
	if len(pids)+len(exes) == 0 {
		return Rules{Mode: Everything}
	}
	r := Rules{Mode: Only}
	for _, pid := range pids {
		r.Rules = append(r.Rules, Rule{PID: pid})
	}
	for _, exe := range exes {
		if !strings.Contains(exe, "/") {
			exe = "*/" + exe
		}
		r.Rules = append(r.Rules, Rule{Exe: exe})
	}
	return r
}

// Compile checks rules and returns their Filter. The error is a *Mistake.
func Compile(r Rules) (*Filter, error) {
	f := &Filter{mode: r.Mode}
	switch {
	case r.Mode == Everything || r.Mode == "":
		f.mode = Everything
		if len(r.Rules) > 0 {
			return nil, &Mistake{"rules", "a filter that takes everything has no rules: remove them, or set the mode to only or except"}
		}
	case r.Mode != Only && r.Mode != Except:
		return nil, &Mistake{"mode", fmt.Sprintf("%q is not known: it is everything, only or except", r.Mode)}
	case len(r.Rules) == 0:
		return nil, &Mistake{"rules", "at least one rule is needed in this mode"}
	case len(r.Rules) > maxRules:
		return nil, &Mistake{"rules", fmt.Sprintf("there are %d; at most %d can be used", len(r.Rules), maxRules)}
	}
	for i, rule := range r.Rules {
		c, mistake := compileRule(rule)
		if mistake != nil {
			mistake.Field = strings.TrimSuffix(fmt.Sprintf("rules[%d].%s", i, mistake.Field), ".")
			return nil, mistake
		}
		f.rules = append(f.rules, c)
	}
	return f, nil
}

// compileRule returns a mistake's field within the rule, empty for the rule itself.
func compileRule(r Rule) (compiled, *Mistake) {
	c := compiled{pid: r.PID, uid: -1, condition: condition{direction: r.Direction}}
	if r.PID < 0 {
		return c, &Mistake{"pid", "a process id is at least 1"}
	}
	for _, text := range []struct {
		field   string
		pattern string
		of      subject
	}{
		{"exe", r.Exe, ofExe}, {"name", r.Name, ofName}, {"command_line", r.CommandLine, ofCommandLine}, {"image", r.Image, ofImage}, {"namespace", r.Namespace, ofNamespace},
	} {
		if text.pattern == "" {
			continue
		}
		if mistake := checkText(text.pattern); mistake != "" {
			return c, &Mistake{text.field, mistake}
		}
		c.texts = append(c.texts, textRule{text.of, glob(text.pattern)})
	}
	if r.User != "" {
		uid, mistake := userID(r.User)
		if mistake != "" {
			return c, &Mistake{"user", mistake}
		}
		c.uid = uid
	}
	if r.Direction != "" && r.Direction != Incoming && r.Direction != Outgoing {
		return c, &Mistake{"direction", fmt.Sprintf("%q is not known: it is incoming or outgoing", r.Direction)}
	}
	if len(r.Ports) > maxPorts {
		return c, &Mistake{"ports", fmt.Sprintf("there are %d; at most %d can be used", len(r.Ports), maxPorts)}
	}
	for i, text := range r.Ports {
		ports, mistake := parsePorts(text)
		if mistake != "" {
			return c, &Mistake{fmt.Sprintf("ports[%d]", i), mistake}
		}
		c.condition.ports = append(c.condition.ports, ports)
	}
	if c.pid == 0 && c.uid < 0 && len(c.texts) == 0 && c.condition.empty() {
		return c, &Mistake{"", "the rule says nothing, so that it would fit every process: fill in at least one field"}
	}
	return c, nil
}

func checkText(pattern string) (mistake string) {
	switch {
	case len(pattern) > maxText:
		return fmt.Sprintf("it is longer than %d bytes", maxText)
	case !utf8.ValidString(pattern):
		return "it is not UTF-8"
	case strings.ContainsFunc(pattern, unicode.IsControl):
		return "there is a control character in it"
	case pattern != strings.TrimSpace(pattern):
		return "it begins or ends with a space, and would fit nothing"
	}
	return ""
}

func userID(text string) (uid int, mistake string) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return int(n), ""
	}
	if len(text) > maxText || strings.ContainsAny(text, "*?") {
		return 0, "it is a name or a number, without wildcards"
	}
	known, err := user.Lookup(text)
	if err != nil {
		return 0, fmt.Sprintf("this machine knows no user %q: check the name, or give the user's number", text)
	}
	uid, err = strconv.Atoi(known.Uid)
	if err != nil {
		return 0, fmt.Sprintf("the id of user %q is no number", text)
	}
	return uid, ""
}

// portRange is a range of ports, both ends included.
type portRange struct{ first, last uint16 }

func parsePorts(text string) (r portRange, mistake string) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	first, errFirst := strconv.ParseUint(from, 10, 16)
	last, errLast := strconv.ParseUint(to, 10, 16)
	switch {
	case errFirst != nil || errLast != nil || first == 0:
		return r, fmt.Sprintf("%q is neither a port from 1 to 65535 nor a range such as 8000-8999", text)
	case last < first:
		return r, fmt.Sprintf("the range %q ends before it begins", text)
	}
	return portRange{uint16(first), uint16(last)}, ""
}
