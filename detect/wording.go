package detect

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// things are what a file of rules consists of, by the types that they are read into.
var things = map[string]struct {
	name string
	of   any
}{
	"detect.ruleList":   {"a file of rules", ruleList{}},
	"[]detect.Rule":     {"a list of rules", nil},
	"detect.Rule":       {"a rule", Rule{}},
	"[]detect.Literal":  {"a list of entries with field and text", nil},
	"detect.Literal":    {"an entry of contains", Literal{}},
	"[]detect.Regex":    {"a list of entries with field and regex", nil},
	"detect.Regex":      {"an entry of matches", Regex{}},
	"[]detect.Example":  {"a list of requests", nil},
	"detect.plain":      {"an example", Example{}},
	"[]string":          {"a list", nil},
	"[]detect.Activity": {"a list", nil},
	"string":            {"a text", nil},
	"detect.Action":     {"alert or block", nil},
	"detect.Activity":   {"a text", nil},
	"uint16":            {"a number", nil},
}

// kinds are what stands in a file.
var kinds = map[string]string{"str": "a text", "int": "a number", "float": "a number", "bool": "a truth value", "seq": "a list", "map": "keys with values", "null": "nothing"}

var (
	unknownKey = regexp.MustCompile(`^(line \d+): field (.*) not found in type (\S+)$`)
	otherKind  = regexp.MustCompile("(?s)^(line \\d+): cannot unmarshal !!(\\w+)(?: `(.*)`)? into (\\S+)$")
)

// worded says what is wrong with a file of rules in the words of those who write them, each mistake in a line of its own.
func worded(err error) error {
	wrong, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return err
	}
	var all []error
	for _, text := range wrong.Errors {
		all = append(all, errors.New(reword(text)))
	}
	return errors.Join(all...)
}

func reword(text string) string {
	if m := unknownKey.FindStringSubmatch(text); m != nil {
		t := things[m[3]]
		if t.of == nil {
			return fmt.Sprintf("%s: there is no key %q", m[1], m[2])
		}
		return fmt.Sprintf("%s: %s has no key %q; its keys are %s", m[1], t.name, m[2], strings.Join(keys(t.of), ", "))
	}
	if m := otherKind.FindStringSubmatch(text); m != nil {
		found, wanted := cmp.Or(kinds[m[2]], "something else"), cmp.Or(things[m[4]].name, "something else")
		if m[3] != "" {
			found += fmt.Sprintf(" (%q)", m[3])
		}
		return fmt.Sprintf("%s: here must be %s, not %s", m[1], wanted, found)
	}
	return text
}

// keys are those of what is read into a struct.
func keys(of any) (all []string) {
	for f := range reflect.TypeOf(of).Fields() {
		all = append(all, f.Tag.Get("yaml"))
	}
	return all
}
