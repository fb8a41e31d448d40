// Package detect says what is to become of a transaction. Rules that people write come in as data; an Engine goes out, which is
// asked about events: at the head of a request, when what it is judged by was seen, and at the end of the transaction. Findings and a verdict
// are its answers. It is pure: no I/O but reading the rules, no clock, no memory of earlier events; it knows nothing of how a
// verdict is carried out.
package detect

import (
	"slices"

	"github.com/vitrine-ndr/vitrine/detect/target"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Engine is a set of rules, ready to be asked. It never changes: who wants other rules takes another one. Safe for concurrent use.
type Engine struct {
	rules []rule
	known []*application
}

// Stage is how much of a transaction is known.
type Stage int

const (
	Head    Stage = iota // the request's head
	Request              // the request, with the beginning of its body
	End                  // all of it
)

// Blocks tells whether there is a rule that blocks in connections of the policy.
func (e *Engine) Blocks(policy string) bool {
	return slices.ContainsFunc(e.rules, func(r rule) bool { return r.Action == Block && r.covers(policy) })
}

// BlocksAt tells whether there is a rule that may block requests to the host in connections of the policy. An empty host may be any.
// Where there is no Engine, nothing is blocked.
func (e *Engine) BlocksAt(policy, host string) bool {
	host = target.Host(host)
	return e != nil && slices.ContainsFunc(e.rules, func(r rule) bool { return r.Action == Block && r.covers(policy) && (host == "" || r.mayBeAt(host)) })
}

// Rules are what the Engine was made of.
func (e *Engine) Rules() []Rule {
	out := make([]Rule, len(e.rules))
	for i := range e.rules {
		out[i] = e.rules[i].Rule
	}
	return out
}

// Inspect asks all rules about an event. Before the end of a transaction only those that block count: Drop comes with the finding of the
// first that fits, and with those of rules that alert and fit, too; Hold says that one may yet fit when the request's body is seen. At
// the end everything that fits is found, and the verdict, for which it is too late, is Pass.
func (e *Engine) Inspect(ev *event.Event, stage Stage) (flow.Verdict, []*event.Finding) {
	http, ok := ev.Body.(*event.HTTP)
	if !ok || http.Request == nil || len(e.rules) == 0 {
		return flow.Pass, nil
	}
	policy := ""
	if ev.Conn != nil && ev.Conn.Policy != nil {
		policy = ev.Conn.Policy.ID
	}
	q := question{http: http, stage: stage}
	if stage == End {
		return flow.Pass, e.find(&q, policy, nil)
	}
	verdict := flow.Pass
	for i := range e.rules {
		r := &e.rules[i]
		if r.Action != Block || !r.covers(policy) {
			continue
		}
		switch r.fits(&q) {
		case yes:
			return flow.Drop, e.find(&q, policy, r)
		case later:
			verdict = flow.Hold
		case no:
		}
	}
	return verdict, nil
}

// find returns the findings of the rule that blocks, which may be nil, and of all others that fit and do not block.
func (e *Engine) find(q *question, policy string, blocking *rule) (all []*event.Finding) {
	for i := range e.rules {
		switch r := &e.rules[i]; {
		case r == blocking:
			all = append(all, e.finding(r, q, event.Blocked))
		case !r.covers(policy) || blocking != nil && r.Action == Block:
		case r.fits(q) == yes:
			all = append(all, e.finding(r, q, event.Allowed))
		}
	}
	return all
}

// engine is what findings call this one.
const engine = "request"

func (e *Engine) finding(r *rule, q *question, action event.FindingAction) *event.Finding {
	h, did := q.http, q.activities()
	f := &event.Finding{
		Tx: h.Tx, Engine: engine, Rule: r.ID, Class: event.ClassPolicy, Name: r.name(), Severity: r.Severity, Action: action,
		Method: h.Method, Host: h.Host, URL: h.URL,
	}
	if a := applicationOf(e.known, q); a != nil {
		f.Application, did = a.ID, did|a.activities(q)
	}
	f.Activities = did.names()
	return f
}
