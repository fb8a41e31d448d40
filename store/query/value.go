package query

import (
	"fmt"
	"reflect"
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

// exists is the test of field:*. A value exists if it is not empty, not 0 and not false: the store keeps nothing else to
// tell a value that is missing.
type exists struct{}

func (exists) match(r *event.Record, f *event.Field) bool {
	switch v := f.Value(r); {
	case !v.IsValid():
		return false
	case f.Type == event.TypeTime:
		return times.of(v) > 0
	case f.Type == event.TypeList, f.Type == event.TypeBytes:
		return v.Len() > 0
	default:
		return !v.IsZero()
	}
}

func (exists) text() string { return ":*" }

// covers is a pattern that a string, or one element of a list, must match as a whole; contains is one that must match
// somewhere inside.
type (
	covers   pattern
	contains pattern
)

func (c covers) match(r *event.Record, f *event.Field) bool {
	return matchText(r, f, pattern(c).lower())
}

func (c contains) match(r *event.Record, f *event.Field) bool {
	return matchText(r, f, pattern(c).lower().unanchored())
}

func (c covers) text() string   { return ":" + pattern(c).quote() }
func (c contains) text() string { return ":" + pattern(c).quote() }

// matchText treats a part that is missing as the empty string, and as the empty list.
func matchText(r *event.Record, f *event.Field, p pattern) bool {
	v := f.Value(r)
	switch {
	case !v.IsValid():
		return f.Type != event.TypeList && p.match("")
	case f.Type == event.TypeBytes:
		return p.match(lowerASCII(string(v.Bytes())))
	case f.Type == event.TypeString:
		return p.match(lowerASCII(v.String()))
	}
	for i := range v.Len() {
		if p.match(lowerASCII(v.Index(i).String())) {
			return true
		}
	}
	return false
}

// isTrue compares a boolean.
type isTrue bool

func (b isTrue) match(r *event.Record, f *event.Field) bool {
	v := f.Value(r)
	return present(r, f) && (v.IsValid() && v.Bool()) == bool(b)
}

func (b isTrue) text() string {
	if b {
		return ":true"
	}
	return ":false"
}

// isID compares an id. A part that is missing has the id of zeros, as in the store.
type isID event.ID

func (id isID) match(r *event.Record, f *event.Field) bool {
	v := f.Value(r)
	if !v.IsValid() {
		return id == isID{}
	}
	return v.Interface() == reflect.ValueOf(event.ID(id)).Interface()
}

func (id isID) text() string { return ":" + event.ID(id).String() }

// present reports whether the record has the part that the field belongs to. Without it, a number or boolean would count
// as 0 or false, and http.status < 400 would find DNS queries.
func present(r *event.Record, f *event.Field) bool {
	kind, field := partOf(f)
	switch {
	case kind != "":
		return r.Kind == kind
	case field != nil:
		return exists{}.match(r, field)
	}
	return true
}

// partOf tells by what the part of a Record that holds the field is known to be there: by the kind of the event, or by
// another field. Neither is set for the fields that every event has.
func partOf(f *event.Field) (event.Kind, *event.Field) {
	first := f.Name
	for i := range first {
		if first[i] == '.' {
			first = first[:i]
			break
		}
	}
	switch {
	case first == f.Name || first == "client" || first == "server":
		return "", nil
	case first == "tls":
		return "", fieldsNamed("decrypted")[0]
	case first == "process" || first == "container":
		return "", fieldsNamed("process.pid")[0]
	}
	return event.Kind(first), nil
}
