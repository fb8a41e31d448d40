package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/rules/categories"
)

// Limits of what people may write.
const (
	MaxQuota        = 20_000 // of all scopes together
	MaxScopes       = 10     // of a policy
	MaxSources      = 1000   // of a scope; so for what follows
	MaxPorts        = 100    // ranges, of sources and of destinations
	MaxDestinations = 100
	MaxPolicies     = 1000
	MaxExceptions   = 10_000 // block and bypass rules together
	MaxNames        = 10_000 // of an exception, and addresses
)

// Quota is how many combinations of source, source ports, destination and destination ports a scope stands for.
func (s *Scope) Quota() int {
	return len(s.Sources) * max(1, len(s.SourcePorts)) * len(s.Destinations) * max(1, len(s.DestinationPorts))
}

// Quota is that of all scopes, whether their policies are disabled or not: so that enabling one never fails.
func (r *Rules) Quota() (n int) {
	for i := range r.Policies {
		for j := range r.Policies[i].Scopes {
			n += r.Policies[i].Scopes[j].Quota()
		}
	}
	return n
}

// Validate refuses what cannot be meant, and what is beyond the limits.
func (r *Rules) Validate() error {
	if n := len(r.Policies); n > MaxPolicies {
		return fmt.Errorf("%d policies: at most %d", n, MaxPolicies)
	}
	if n := len(r.Block) + len(r.Bypass); n > MaxExceptions {
		return fmt.Errorf("%d block and bypass rules: at most %d", n, MaxExceptions)
	}
	policies, rules := seen{}, seen{}
	for i := range r.Policies {
		p := &r.Policies[i]
		err := policies.add(p.ID)
		if mistakes := p.Mistakes(); err == nil && len(mistakes) > 0 {
			err = errors.New(mistakes[0].Message)
		}
		if err != nil {
			return fmt.Errorf("policy %q: %w", p.ID, err)
		}
	}
	for _, e := range slices.Concat(r.Block, r.Bypass) {
		if err := errors.Join(rules.add(e.ID), e.validate()); err != nil {
			return fmt.Errorf("rule %q: %w", e.ID, err)
		}
	}
	return r.CheckQuota()
}

// CheckQuota refuses scopes that are too much together. It shows the arithmetic of the largest scopes: those are where to save.
func (r *Rules) CheckQuota() error {
	total := r.Quota()
	if total <= MaxQuota {
		return nil
	}
	type part struct {
		quota int
		text  string
	}
	var parts []part
	for _, p := range r.Policies {
		for _, s := range p.Scopes {
			q := s.Quota()
			parts = append(parts, part{q, fmt.Sprintf("%s/%s: %d sources x %d source port ranges x %d destinations x %d destination port ranges = %d",
				p.ID, s.ID, len(s.Sources), max(1, len(s.SourcePorts)), len(s.Destinations), max(1, len(s.DestinationPorts)), q)})
		}
	}
	slices.SortStableFunc(parts, func(a, b part) int { return b.quota - a.quota })
	var texts []string
	for _, p := range parts[:min(3, len(parts))] {
		texts = append(texts, p.text)
	}
	return fmt.Errorf("the scopes need %d of a quota of %d, %d too many; the largest are %s", total, MaxQuota, total-MaxQuota, strings.Join(texts, "; "))
}

// ids are written by people and stand in every event.
var ids = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// seen finds ids that are there twice.
type seen map[string]bool

func (s seen) add(id string) error {
	if !ids.MatchString(id) {
		return errors.New("id must have 1 to 64 letters, digits, dots, dashes or underscores, and begin with a letter or digit")
	}
	if s[id] {
		return errors.New("id is there twice")
	}
	s[id] = true
	return nil
}

// Mistake is something wrong in a policy.
type Mistake struct {
	Field   string // as people write it, such as scopes[0].sources
	Message string
}

// Mistakes are all that can be found without the other policies.
func (p *Policy) Mistakes() (all []Mistake) {
	if err := (seen{}).add(p.ID); err != nil {
		all = append(all, Mistake{"id", err.Error()})
	}
	if n := len(p.Scopes); n > MaxScopes {
		all = append(all, Mistake{"scopes", fmt.Sprintf("%d scopes: at most %d", n, MaxScopes)})
	}
	scopes := seen{}
	for i := range p.Scopes {
		s, at := &p.Scopes[i], fmt.Sprintf("scopes[%d].", i)
		mistakes := s.mistakes()
		if err := scopes.add(s.ID); err != nil {
			mistakes = append(mistakes, Mistake{"id", err.Error()})
		}
		for _, m := range mistakes {
			all = append(all, Mistake{at + m.Field, fmt.Sprintf("scope %q: %s", s.ID, m.Message)})
		}
	}
	return append(all, p.Cases.mistakes()...)
}

func (s *Scope) mistakes() (all []Mistake) {
	for _, l := range []struct {
		what        string
		n, min, max int
	}{
		{"sources", len(s.Sources), 1, MaxSources}, {"source_ports", len(s.SourcePorts), 0, MaxPorts},
		{"destinations", len(s.Destinations), 1, MaxDestinations}, {"destination_ports", len(s.DestinationPorts), 0, MaxPorts},
	} {
		if l.n < l.min || l.n > l.max {
			all = append(all, Mistake{l.what, fmt.Sprintf("%d %s: at least %d, at most %d", l.n, l.what, l.min, l.max)})
		}
	}
	return all
}

func (e *Exception) validate() error {
	switch {
	case len(e.Names)+len(e.Addresses)+len(e.Categories) == 0:
		return errors.New("neither names nor addresses nor categories: it would never apply")
	case len(e.Names)+len(e.Addresses) > MaxNames:
		return fmt.Errorf("%d names and addresses: at most %d", len(e.Names)+len(e.Addresses), MaxNames)
	}
	for _, c := range e.Categories {
		if categories.Names(c) == nil {
			return fmt.Errorf("there is no category %q: known are %s", c, strings.Join(categories.IDs(), ", "))
		}
	}
	return checkNames(e.Names)
}

func checkNames(list []string) error {
	for _, n := range list {
		if !names.MatchString(strings.ToLower(n)) || len(n) > maxName {
			return fmt.Errorf("%q is no name: write example.com for the name alone, *.example.com for all names below it, and xn--... for letters beyond ASCII", n)
		}
	}
	return nil
}

// names are host names, perhaps behind "*.".
var names = regexp.MustCompile(`^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)

const maxName = 255

func (c *Cases) mistakes() (all []Mistake) {
	for _, k := range []struct {
		name    string
		got     Choice
		allowed []Choice // the default first
	}{
		{"bad_certificate", c.BadCertificate, []Choice{Mirror, Block}},
		{"client_certificate", c.ClientCertificate, []Choice{Bypass, Block}},
		{"unsupported", c.Unsupported, []Choice{Bypass, Block}},
		{"no_name", c.NoName, []Choice{Inspect, Bypass, Block}},
		{"pinned", c.Pinned, []Choice{Bypass, Inspect, Block}},
		{"not_tls", c.NotTLS, []Choice{Inspect, Bypass, Block}},
		{"over_capacity", c.OverCapacity, []Choice{Bypass, Block}},
	} {
		if k.got != ByDefault && !slices.Contains(k.allowed, k.got) {
			all = append(all, Mistake{"cases." + k.name, fmt.Sprintf("cases.%s is %q: want one of %q", k.name, k.got, k.allowed)})
		}
	}
	return all
}
