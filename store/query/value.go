package query

import (
	"fmt"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
)

// condition makes the condition that the target compares to the word.
func (t *target) condition(op string, w word) (node, error) {
	if op == "=" {
		op = ":"
	}
	if op == ":" && !w.quoted && w.pattern.isStar() {
		return t.with(exists{}), nil
	}
	var (
		x   test
		err *Error
	)
	switch f := t.fields[0]; f.Type {
	case event.TypeString, event.TypeList, event.TypeBytes:
		x, err = t.textTest(f, op, w)
	case event.TypeBool:
		x, err = t.boolTest(op, w)
	case event.TypeID:
		x, err = t.idTest(op, w)
	default:
		x, err = t.orderedTest(f, op, w)
	}
	if err != nil {
		return nil, err
	}
	return t.with(x), nil
}

func (t *target) with(x test) node {
	return &condition{name: t.name, fields: t.fields, test: x, start: t.start, end: t.end}
}

// bad is a mistake in a value.
func bad(w word, format string, args ...any) *Error {
	return &Error{Start: w.start, End: w.end, Message: fmt.Sprintf(format, args...)}
}

func (t *target) textTest(f *event.Field, op string, w word) (test, *Error) {
	if op != ":" {
		return nil, bad(w, "%s is text: it can be compared with : and != only", t.name)
	}
	if f.Enum != nil {
		return t.enumTest(f, w)
	}
	if text, plain := w.pattern.plain(); plain && text == "" && isText(f) {
		return nil, bad(w, "nothing stands between the quotation marks; write %s:* for any value", t.name)
	}
	if isText(f) {
		return contains(w.pattern), nil
	}
	return covers(w.pattern), nil
}

// enumTest checks the word against the values that the field can have.
func (t *target) enumTest(f *event.Field, w word) (test, *Error) {
	p := w.pattern.lower()
	for _, v := range f.Enum {
		if p.match(v) {
			return covers(p), nil
		}
	}
	e := bad(w, "%s is never %q: it is one of %s", t.name, w.raw(), strings.Join(f.Enum, ", "))
	e.Suggestion = nearestOf(p.raw(), f.Enum)
	return nil, e
}

func nearestOf(s string, values []string) string {
	best, cost := "", 2+len(s)/4
	for _, v := range values {
		if d := distance(s, v); d < cost {
			best, cost = v, d
		}
	}
	return best
}

func (t *target) boolTest(op string, w word) (test, *Error) {
	if op != ":" {
		return nil, bad(w, "%s is true or false: it can be compared with : and != only", t.name)
	}
	switch strings.ToLower(w.raw()) {
	case "true", "yes":
		return isTrue(true), nil
	case "false", "no":
		return isTrue(false), nil
	}
	return nil, bad(w, "%s is true or false", t.name)
}

func (t *target) idTest(op string, w word) (test, *Error) {
	var id event.ID
	if op != ":" || id.UnmarshalText([]byte(strings.ToLower(w.raw()))) != nil {
		return nil, bad(w, "%s is an id: it can be compared with : and != to 32 hexadecimal digits", t.name)
	}
	return isID(id), nil
}

// newBareWord looks for the word everywhere.
func newBareWord(w word) node {
	n := &bareWord{word: w.pattern, texts: wordFields}
	if w.quoted {
		return n
	}
	if text, plain := w.pattern.plain(); plain && looksLikeAddress(text) {
		if x, err := addresses.compareWith(":", "", w); err == nil {
			n.address, n.ips = x, addressFields
		}
	}
	return n
}
