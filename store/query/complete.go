package query

import (
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
)

// Completion is what can be written at a place of a search. Text from From to To, byte offsets, gives way to an Option.
type Completion struct {
	From, To int
	Options  []Option
	// Values is the field whose stored values, those that begin with Prefix, could stand there too; nil if there is none.
	Values *event.Field
	Prefix string
}

// Option is one thing that can be written.
type Option struct {
	Label  string
	Kind   OptionKind
	Detail string
}

// OptionKind says what an Option is.
type OptionKind string

const (
	OptionField    OptionKind = "field"
	OptionOperator OptionKind = "operator"
	OptionValue    OptionKind = "value"
	OptionKeyword  OptionKind = "keyword"
)

// Complete says what can stand at byte offset pos of a search, which need not be complete or right.
func Complete(text string, pos int) Completion {
	text = text[:min(len(text), MaxLength)]
	pos = max(0, min(pos, len(text)))
	c := cursor{parser: parser{lexer: lexer{text: text[:pos]}}}
	c.walk()
	out := Completion{From: c.from, To: pos + wordLength(text[pos:])}
	typed := text[c.from:pos]
	switch c.place {
	case atOperator:
		out.Options = operatorsOf(c.of)
	case atValue:
		out.values(c.of, typed)
	case atJoint:
		out.Options = matching(joints, typed)
		out.addFields(typed)
	default:
		out.addFields(typed)
		out.Options = append(out.Options, matching(openers, typed)...)
	}
	return out
}

var (
	openers = []Option{{"not", OptionKeyword, "what follows must not hold"}}
	joints  = []Option{
		{"and", OptionKeyword, "both must hold"},
		{"or", OptionKeyword, "one must hold"},
		{"not", OptionKeyword, "what follows must not hold"},
	}
)

// place is what a cursor stands at.
type place int

const (
	atTerm     place = iota // a condition may begin
	atJoint                 // behind a condition
	atOperator              // right behind the name of a field
	atValue                 // behind an operator
)

// cursor walks a search up to its end, as the parser would, and forgives everything.
type cursor struct {
	parser
	place  place
	from   int       // where the word under the cursor begins
	of     *target   // the field that a value or operator belongs to
	groups []*target // the open parentheses; nil for one that holds conditions
}

func (c *cursor) walk() {
	for {
		c.skipSpace()
		c.from = c.pos
		if c.pos == len(c.text) {
			return
		}
		switch c.peek() {
		case '(':
			c.open()
		case ')':
			c.close()
		default:
			if c.word() {
				return
			}
		}
	}
}

func (c *cursor) open() {
	c.pos++
	var of *target
	if c.place == atValue {
		of = c.of
	}
	c.groups = append(c.groups, of)
	c.begin()
}

func (c *cursor) close() {
	c.pos++
	if n := len(c.groups); n > 0 {
		c.groups = c.groups[:n-1]
	}
	c.place = atJoint
}

// begin says what can stand where a condition can: in a group of values, a value.
func (c *cursor) begin() {
	c.place, c.of = atTerm, nil
	if n := len(c.groups); n > 0 && c.groups[n-1] != nil {
		c.place, c.of = atValue, c.groups[n-1]
	}
}

// word passes a word, or reports that the cursor stands in it.
func (c *cursor) word() bool {
	if k := c.nextKeyword(); k != "" && c.pos+len(k) < len(c.text) {
		c.pos += len(k)
		c.begin()
		return false
	}
	if c.place != atValue && c.field() {
		return c.pos == len(c.text) && c.place == atOperator
	}
	w, err := c.value("")
	if err != nil || w.end == len(c.text) && !w.quoted || w.end == w.start {
		return true
	}
	c.place = atJoint
	return false
}

// field passes a name and its operator, or the name and a space behind it. Else it stays where it is and reports false.
func (c *cursor) field() bool {
	start := c.pos
	t, err := lookUp(c.name(), start, c.pos)
	if err == nil {
		end := c.pos
		if c.operator() != "" {
			c.place, c.of = atValue, t
			return true
		}
		if c.skipSpace(); c.pos == len(c.text) && c.pos > end {
			c.place, c.of, c.from = atOperator, t, c.pos
			return true
		}
	}
	c.pos = start
	return false
}

// wordLength returns how much of the text belongs to the word that it begins in.
func wordLength(text string) int {
	if i := strings.IndexAny(text, " \t\r\n()\":<>=!"); i >= 0 {
		return i
	}
	return len(text)
}

func (out *Completion) addFields(typed string) {
	typed = strings.ToLower(typed)
	var inside []Option
	add := func(name, doc string) {
		o := Option{name, OptionField, doc}
		switch {
		case strings.HasPrefix(name, typed):
			out.Options = append(out.Options, o)
		case strings.Contains(name, typed):
			inside = append(inside, o)
		}
	}
	for _, a := range Aliases {
		add(a.Name, a.Doc)
	}
	for i := range event.Fields {
		add(event.Fields[i].Name, event.Fields[i].Doc)
	}
	out.Options = append(out.Options, inside...)
}

// values offers the values that are known without the store.
func (out *Completion) values(of *target, typed string) {
	if of == nil {
		return
	}
	f := of.fields[0]
	switch {
	case f.Enum != nil:
		for _, v := range f.Enum {
			out.Options = append(out.Options, Option{v, OptionValue, ""})
		}
	case f.Type == event.TypeBool:
		out.Options = []Option{{"true", OptionValue, ""}, {"false", OptionValue, ""}}
	case f.Type != event.TypeBytes && f.Type != event.TypeID && f.Type != event.TypeTime:
		out.Values, out.Prefix = f, strings.Trim(typed, `"*`)
	}
	out.Options = matching(append(out.Options, Option{"*", OptionValue, "any value"}), typed)
}

func matching(options []Option, typed string) []Option {
	var out []Option
	for _, o := range options {
		if strings.HasPrefix(o.Label, strings.ToLower(typed)) {
			out = append(out, o)
		}
	}
	return out
}

func operatorsOf(of *target) []Option {
	out := []Option{{":", OptionOperator, "equals"}, {"!=", OptionOperator, "differs from"}}
	switch of.fields[0].Type {
	case event.TypeInt, event.TypeUint, event.TypeTime, event.TypeIP:
		for _, o := range [...][2]string{{">", "is above"}, {">=", "is at least"}, {"<", "is below"}, {"<=", "is at most"}} {
			out = append(out, Option{o[0], OptionOperator, o[1]})
		}
	}
	return out
}

// Quote writes a value of a field as it must stand in a search.
func Quote(value string) string { return pattern(nil).literal(value).quote() }
