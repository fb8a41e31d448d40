package query

import (
	"reflect"

	"github.com/vitrine-ndr/vitrine/event"
)

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

// isID compares an id.
type isID event.ID

func (id isID) match(r *event.Record, f *event.Field) bool {
	v := f.Value(r)
	return v.IsValid() && v.Interface() == reflect.ValueOf(event.ID(id)).Interface()
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
