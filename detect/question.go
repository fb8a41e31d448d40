package detect

import (
	"maps"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/detect/target"
	"github.com/vitrine-ndr/vitrine/event"
)

// question is a transaction that rules are asked about. What several of them need is worked out once.
type question struct {
	http  *event.HTTP
	stage Stage
	known bool // what follows was worked out
	// at are the targets by all hosts that the request names: whoever passes it on may go by either.
	at  []target.Target
	did activities
}

// answer says whether a rule fits.
type answer int

const (
	no    answer = iota
	later        // only what is still to come can tell
	yes
)

// fits asks the cheapest things first.
func (r *rule) fits(q *question) answer {
	if len(r.Methods) > 0 && !slices.ContainsFunc(r.Methods, func(m string) bool { return strings.EqualFold(m, q.http.Method) }) ||
		!r.fitsPlace(q) {
		return no
	}
	result := yes
	switch {
	case r.fitsActivity(q):
	case r.wantsUploads() && mayUpload(q):
		result = later
	default:
		return no
	}
	for i := range r.tests {
		switch t := &r.tests[i]; {
		case t.body && q.stage == Head:
			result = later
		case !slices.ContainsFunc(t.read(q), t.fits):
			return no
		}
	}
	return result
}

func (r *rule) fitsPlace(q *question) bool {
	return (len(r.patterns) == 0 || slices.ContainsFunc(r.patterns, q.isAt)) &&
		(len(r.applications) == 0 || slices.ContainsFunc(r.applications, q.isIn))
}

// mayBeAt tells whether the rule can fit a request to the host.
func (r *rule) mayBeAt(host string) bool {
	at := func(p target.Pattern) bool { return p.FitsHost(host) }
	return (len(r.patterns) == 0 || slices.ContainsFunc(r.patterns, at)) &&
		(len(r.applications) == 0 || slices.ContainsFunc(r.applications, func(a *application) bool { return slices.ContainsFunc(a.patterns, at) }))
}

func (r *rule) fitsActivity(q *question) bool {
	if r.activities == 0 && r.Direction == "" {
		return true
	}
	did := q.activities()
	for _, a := range r.applications {
		if q.isIn(a) {
			did |= a.activities(q)
		}
	}
	return (r.activities == 0 || did&r.activities != 0) && (r.Direction == "" || did&activityBits[r.Direction] != 0)
}

func (r *rule) wantsUploads() bool {
	return r.Direction == Upload || r.activities&activityBits[Upload] != 0
}

// targets are where the request goes: by the host of its target, and by each Host header.
func (q *question) targets() []target.Target {
	if q.known {
		return q.at
	}
	q.known = true
	q.at = []target.Target{target.New(q.http.Host, q.http.URL)}
	for value := range q.headers("host") {
		_, rest, _ := target.Absolute(q.http.URL)
		if other := target.New(value, rest); !slices.ContainsFunc(q.at, func(t target.Target) bool { return t.Host == other.Host }) && len(q.at) < maxHosts {
			q.at = append(q.at, other)
		}
	}
	q.did = generic(q)
	return q.at
}

// maxHosts is how many hosts of one request are compared.
const maxHosts = 4

func (q *question) isAt(p target.Pattern) bool {
	return slices.ContainsFunc(q.targets(), func(t target.Target) bool { return p.Fits(&t) })
}

func (q *question) isIn(a *application) bool { return slices.ContainsFunc(a.patterns, q.isAt) }

// activities is what is done by the request's own account.
func (q *question) activities() activities {
	q.targets()
	return q.did
}

// test is a condition on a field.
type test struct {
	read func(*question) []string
	body bool
	fits func(string) bool
}

const bodyField = "body"

// fields are what literals and regular expressions can be about. Hosts, paths and URLs are in the form in which they are compared; there may be
// several readings.
var fields = map[string]func(*question) []string{
	"host": func(q *question) []string { return q.each(func(t *target.Target) []string { return []string{t.Host} }) },
	"path": func(q *question) []string { return q.each(func(t *target.Target) []string { return t.Paths }) },
	"url":  func(q *question) []string { return q.each(urls) },
	"query": func(q *question) []string {
		return q.each(func(t *target.Target) []string { return []string{t.Query} })
	},
	"method":  func(q *question) []string { return []string{q.http.Method} },
	"header":  func(q *question) []string { return q.http.Request.Headers },
	bodyField: func(q *question) []string { return []string{string(q.http.Request.Body)} },
}

func fieldNames() []string { return slices.Sorted(maps.Keys(fields)) }

func (q *question) each(f func(*target.Target) []string) (all []string) {
	for i := range q.targets() {
		all = append(all, f(&q.at[i])...)
	}
	return all
}

// urls are a target without its scheme.
func urls(t *target.Target) (all []string) {
	for _, path := range t.Paths {
		if t.Query != "" {
			path += "?" + t.Query
		}
		all = append(all, t.Host+path)
	}
	return all
}

func headerField(name string) func(*question) []string {
	return func(q *question) (all []string) {
		for value := range q.headers(name) {
			all = append(all, value)
		}
		return all
	}
}
