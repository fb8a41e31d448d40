package detect

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/detect/target"
)

// Action is what a rule does.
type Action string

const (
	Alert Action = "alert"
	Block Action = "block"
)

// Rule is one rule as people write it. What it says of a request must all be true; of a list, one of its entries must be, except for
// Contains and Matches, of which all must.
type Rule struct {
	ID          string   `yaml:"id" doc:"name of the rule, in every finding"`
	Description string   `yaml:"description" doc:"for people, on the page that a blocked client sees too"`
	Action      Action   `yaml:"action" doc:"alert or block"`
	Severity    uint16   `yaml:"severity" doc:"from 1, the worst, to 4; 2 if left out for a rule that blocks, 3 for one that alerts"`
	Policies    []string `yaml:"policies" doc:"ids of the policies that it is for; all if left out"`

	URLs         []string   `yaml:"urls" doc:"patterns as example.com/upload/*"`
	Methods      []string   `yaml:"methods"`
	Applications []string   `yaml:"applications" doc:"ids of services"`
	Activities   []Activity `yaml:"activities" doc:"what is done: browse, download, upload, post, login, api"`
	Direction    Activity   `yaml:"direction" doc:"upload or download"`
	Contains     []Literal  `yaml:"contains"`
	Matches      []Regex    `yaml:"matches"`

	Match   []Example `yaml:"match" doc:"requests that it must fit"`
	NoMatch []Example `yaml:"no_match" doc:"requests that it must not fit"`
}

// Literal is a text that a field contains.
type Literal struct {
	Field string `yaml:"field"`
	Text  string `yaml:"text"`
}

// Regex is a regular expression that a field matches, in Go's syntax, whose cost is linear.
type Regex struct {
	Field string `yaml:"field"`
	Regex string `yaml:"regex"`
}

// rule is a Rule that was checked.
type rule struct {
	Rule
	patterns     []target.Pattern
	applications []*application
	activities   activities // with that of the direction
	tests        []test
}

// name says what was found.
func (r *Rule) name() string {
	if r.Description != "" {
		return r.Description
	}
	return r.ID
}

// covers tells whether the rule is for connections of the policy.
func (r *Rule) covers(policy string) bool {
	return len(r.Policies) == 0 || slices.Contains(r.Policies, policy)
}

var validID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// compile checks a rule.
func (r Rule) compile(known []*application) (rule, error) {
	if err := r.check(); err != nil {
		return rule{}, err
	}
	if r.Severity == 0 {
		r.Severity = map[Action]uint16{Block: 2, Alert: 3}[r.Action]
	}
	c := rule{Rule: r}
	if err := errors.Join(c.addPatterns(), c.addApplications(known), c.addActivities(), c.addTests()); err != nil {
		return rule{}, fmt.Errorf("rule %s: %w", r.ID, err)
	}
	return c, nil
}

func (r *Rule) check() error {
	switch {
	case !validID.MatchString(r.ID):
		return fmt.Errorf("rule %q: the id must be made of up to 64 small letters, digits, dots, dashes and underscores", r.ID)
	case r.Action != Alert && r.Action != Block:
		return fmt.Errorf("rule %s: action is %q, it must be alert or block", r.ID, r.Action)
	case r.Severity > 4:
		return fmt.Errorf("rule %s: severity is %d, it must be from 1 to 4", r.ID, r.Severity)
	case r.Direction != "" && r.Direction != Upload && r.Direction != Download:
		return fmt.Errorf("rule %s: direction is %q, it must be upload or download", r.ID, r.Direction)
	case len(r.URLs)+len(r.Methods)+len(r.Applications)+len(r.Activities)+len(r.Contains)+len(r.Matches) == 0 && r.Direction == "":
		return fmt.Errorf("rule %s: it says nothing of requests, so every one would fit; say urls: [\"*\"] if that is meant", r.ID)
	}
	return nil
}

func (r *rule) addPatterns() (err error) {
	r.patterns, err = parsePatterns(r.URLs)
	return err
}

func (r *rule) addApplications(known []*application) error {
	for _, id := range r.Applications {
		i := slices.IndexFunc(known, func(a *application) bool { return a.ID == id })
		if i < 0 {
			return fmt.Errorf("there is no application %q", id)
		}
		r.applications = append(r.applications, known[i])
	}
	return nil
}

func (r *rule) addActivities() error {
	for _, a := range r.Activities {
		bit, ok := activityBits[a]
		if !ok {
			return fmt.Errorf("there is no activity %q: they are %s", a, strings.Join((^activities(0)).names(), ", "))
		}
		r.activities |= bit
	}
	return nil
}

func (r *rule) addTests() error {
	for _, l := range r.Contains {
		if l.Text == "" {
			return errors.New("contains: the text is empty")
		}
		text := l.Text
		if err := r.addTest(l.Field, func(s string) bool { return strings.Contains(s, text) }); err != nil {
			return err
		}
	}
	for _, m := range r.Matches {
		re, err := regexp.Compile(m.Regex)
		if err != nil {
			return fmt.Errorf("matches: %w", err)
		}
		if err := r.addTest(m.Field, re.MatchString); err != nil {
			return err
		}
	}
	return nil
}

func (r *rule) addTest(field string, fits func(string) bool) error {
	read, ok := fields[field]
	if name, header := strings.CutPrefix(field, "header."); header && name != "" {
		read, ok = headerField(name), true
	}
	if !ok {
		return fmt.Errorf("there is no field %q: they are %s and header.name", field, strings.Join(fieldNames(), ", "))
	}
	r.tests = append(r.tests, test{read: read, body: field == bodyField, fits: fits})
	return nil
}
