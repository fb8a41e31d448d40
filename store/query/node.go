package query

import (
	"fmt"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
)

// node is a part of a filter.
type node interface {
	match(r *event.Record) bool
	sql(w *sqlWriter)
	// text returns the canonical form; tight asks for parentheses around what holds together less than and.
	text(tight bool) string
	// without returns the node for somebody who may not search the hidden fields.
	without(hidden func(*event.Field) bool) (node, error)
}

// all is true if every one of its nodes is, some if one of them is. They have at least two.
type (
	all  []node
	some []node
)

// negation is true if its node is not.
type negation struct{ of node }

// condition is true if one of the fields passes the test.
type condition struct {
	name       string         // as it was written: a field or an alias
	fields     []*event.Field // at least one
	test       test
	start, end int // of the name
}

// bareWord is a word without a field: it is sought in the text fields and, if it is an address, in the address fields.
type bareWord struct {
	word    pattern
	texts   []*event.Field
	address test // nil if the word is no address
	ips     []*event.Field
}

// test decides on the value of a field.
type test interface {
	match(r *event.Record, f *event.Field) bool
	sql(w *sqlWriter, f *event.Field)
	// text returns the canonical form of what stands behind the name.
	text() string
}

func (n all) match(r *event.Record) bool {
	for _, c := range n {
		if !c.match(r) {
			return false
		}
	}
	return true
}

func (n some) match(r *event.Record) bool {
	for _, c := range n {
		if c.match(r) {
			return true
		}
	}
	return false
}

func (n negation) match(r *event.Record) bool { return !n.of.match(r) }

func (n *condition) match(r *event.Record) bool { return anyMatch(n.test, r, n.fields) }

func (n *bareWord) match(r *event.Record) bool {
	return n.address != nil && anyMatch(n.address, r, n.ips) || anyMatch(contains(n.word), r, n.texts)
}

func anyMatch(t test, r *event.Record, fields []*event.Field) bool {
	for _, f := range fields {
		if t.match(r, f) {
			return true
		}
	}
	return false
}

func (n all) text(bool) string { return joinText(n, " and ") }

func (n some) text(tight bool) string {
	if tight {
		return "(" + joinText(n, " or ") + ")"
	}
	return joinText(n, " or ")
}

func joinText(nodes []node, word string) string {
	var parts []string
	for _, n := range nodes {
		parts = append(parts, n.text(true))
	}
	return strings.Join(parts, word)
}

func (n negation) text(bool) string {
	if c, ok := n.of.(all); ok {
		return "not (" + c.text(false) + ")"
	}
	return "not " + n.of.text(true)
}

func (n *condition) text(bool) string { return n.name + n.test.text() }

func (n *bareWord) text(bool) string {
	switch text, plain := n.word.plain(); {
	case n.address != nil:
		return text
	case plain && looksLikeAddress(text): // in quotes, it is text only
		return quoteText(text)
	}
	return n.word.quote()
}

func (n all) without(hidden func(*event.Field) bool) (node, error) {
	out, err := allWithout(n, hidden)
	return all(out), err
}

func (n some) without(hidden func(*event.Field) bool) (node, error) {
	out, err := allWithout(n, hidden)
	return some(out), err
}

func allWithout(nodes []node, hidden func(*event.Field) bool) ([]node, error) {
	out := make([]node, len(nodes))
	for i, n := range nodes {
		var err error
		if out[i], err = n.without(hidden); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (n negation) without(hidden func(*event.Field) bool) (node, error) {
	of, err := n.of.without(hidden)
	return negation{of}, err
}

// without refuses a hidden field that was named, and drops it from behind an alias as long as another is left.
func (n *condition) without(hidden func(*event.Field) bool) (node, error) {
	m := *n
	m.fields = visible(n.fields, hidden)
	if len(m.fields) == 0 {
		return nil, &Error{Start: n.start, End: n.end, Message: fmt.Sprintf("%s holds content, which you may not search", n.name)}
	}
	return &m, nil
}

func (n *bareWord) without(hidden func(*event.Field) bool) (node, error) {
	m := *n
	m.texts, m.ips = visible(n.texts, hidden), visible(n.ips, hidden)
	return &m, nil
}

func visible(fields []*event.Field, hidden func(*event.Field) bool) []*event.Field {
	var out []*event.Field
	for _, f := range fields {
		if !hidden(f) {
			out = append(out, f)
		}
	}
	return out
}
