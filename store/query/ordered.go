package query

import (
	"fmt"
	"reflect"

	"github.com/vitrine-ndr/vitrine/event"
)

// order is a type whose values can be compared: how to read one, find one in a record, and send one to the database.
type order[T any] struct {
	what string // for messages: "a number from 0 to 65535"
	// read returns the first and the last value that the text stands for: a day, a network, or one value twice.
	read    func(s string) (first, last T, ok bool)
	compare func(a, b T) int
	of      func(v reflect.Value) T
	text    func(T) string
	// joint returns the text that stands for all from low to high, or "". It may be nil.
	joint    func(low, high T) string
	paramTyp string
	param    func(T) string
	// next and previous are only asked for values inside the bounds.
	next, previous  func(T) T
	lowest, highest T // values beyond are not sought; what is missing may be below
	missing         T // what the store keeps where there is no value
}

// span is the test that a value is not below low nor above high.
type span[T any] struct {
	*order[T]
	low, high T
}

// comparer hides the type of an order.
type comparer interface {
	compareWith(op string, name string, w word) (test, *Error)
	between(name string, low, high word) (test, *Error)
}

// orderedTest compares a field whose values have an order.
func (t *target) orderedTest(f *event.Field, op string, w word) (test, *Error) {
	return orderOf(f).compareWith(op, t.name, w)
}

// interval makes the condition for [low to high].
func (t *target) interval(low, high word) (node, error) {
	switch f := t.fields[0]; f.Type {
	case event.TypeInt, event.TypeUint, event.TypeTime, event.TypeIP:
		x, err := orderOf(f).between(t.name, low, high)
		if err != nil {
			return nil, err
		}
		return t.with(x), nil
	}
	return nil, &Error{Start: low.start, End: high.end, Message: fmt.Sprintf("%s has no order: it can't be in a range", t.name)}
}

// orderOf returns the order of an ordered field.
func orderOf(f *event.Field) comparer {
	switch f.Type {
	case event.TypeTime:
		return times
	case event.TypeIP:
		return addresses
	case event.TypeInt:
		return ints(f)
	default:
		return uints(f)
	}
}

func (o *order[T]) compareWith(op, name string, w word) (test, *Error) {
	first, last, err := o.parse(name, w)
	if err != nil {
		return nil, err
	}
	s := &span[T]{o, o.lowest, o.highest}
	switch op {
	case ":":
		s.low, s.high = first, last
	case ">=":
		s.low = first
	case "<=":
		s.high = last
	case ">":
		if o.compare(last, o.highest) >= 0 {
			return nil, bad(w, "%s is never above that", name)
		}
		s.low = o.next(last)
	case "<":
		if o.compare(first, o.lowest) <= 0 {
			return nil, bad(w, "%s is never below that", name)
		}
		s.high = o.previous(first)
	}
	return s.clamped(), nil
}

func (o *order[T]) between(name string, low, high word) (test, *Error) {
	s := &span[T]{o, o.lowest, o.highest}
	var err *Error
	if !low.pattern.isStar() {
		if s.low, _, err = o.parse(name, low); err != nil {
			return nil, err
		}
	}
	if !high.pattern.isStar() {
		if _, s.high, err = o.parse(name, high); err != nil {
			return nil, err
		}
	}
	if o.compare(s.low, s.high) > 0 {
		return nil, &Error{Start: low.start, End: high.end, Message: fmt.Sprintf("nothing is in this range: %s is above %s", low.raw(), high.raw())}
	}
	return s.clamped(), nil
}

func (o *order[T]) parse(name string, w word) (first, last T, err *Error) {
	text, plain := w.pattern.plain()
	if plain {
		var ok bool
		if first, last, ok = o.read(text); ok {
			return first, last, nil
		}
	}
	return first, last, bad(w, "%s is %s; %q is not", name, o.what, w.raw())
}

func (s *span[T]) clamped() *span[T] {
	if s.compare(s.low, s.lowest) < 0 {
		s.low = s.lowest
	}
	return s
}

func (s *span[T]) match(r *event.Record, f *event.Field) bool {
	x := s.missing
	if v := f.Value(r); v.IsValid() {
		x = s.of(v)
	}
	return s.inside(x) && (!s.inside(s.missing) || present(r, f))
}

func (s *span[T]) inside(x T) bool { return s.compare(s.low, x) <= 0 && s.compare(x, s.high) <= 0 }

func (s *span[T]) text() string {
	if s.joint != nil {
		if t := s.joint(s.low, s.high); t != "" {
			return ":" + t
		}
	}
	atLow, atHigh := s.compare(s.low, s.lowest) == 0, s.compare(s.high, s.highest) == 0
	switch {
	case s.compare(s.low, s.high) == 0:
		return ":" + s.order.text(s.low)
	case atLow && atHigh:
		return ":[* to *]"
	case atLow:
		return " <= " + s.order.text(s.high)
	case atHigh:
		return " >= " + s.order.text(s.low)
	}
	return ":[" + s.order.text(s.low) + " to " + s.order.text(s.high) + "]"
}

func (s *span[T]) sql(w *sqlWriter, f *event.Field) {
	if s.inside(s.missing) {
		w.present(f)
	}
	c := f.Column()
	if s.compare(s.low, s.high) == 0 {
		w.add(c, " = ", w.param(s.paramTyp, s.param(s.low)))
		return
	}
	low, high := s.compare(s.low, s.lowest) > 0 || !s.inside(s.missing), s.compare(s.high, s.highest) < 0
	switch {
	case low && high:
		w.add(c, " >= ", w.param(s.paramTyp, s.param(s.low)), " AND ", c, " <= ", w.param(s.paramTyp, s.param(s.high)))
	case low:
		w.add(c, " >= ", w.param(s.paramTyp, s.param(s.low)))
	case high:
		w.add(c, " <= ", w.param(s.paramTyp, s.param(s.high)))
	default:
		w.add("1")
	}
}
