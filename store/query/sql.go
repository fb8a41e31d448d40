package query

import (
	"strconv"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
)

// sqlWriter collects a condition. Names of columns and functions are written out; all else goes through param.
type sqlWriter struct {
	strings.Builder
	params []Param
}

func (w *sqlWriter) add(parts ...string) {
	for _, s := range parts {
		w.WriteString(s)
	}
}

// param keeps a value and returns the reference to it.
func (w *sqlWriter) param(typ, value string) string {
	name := "p" + strconv.Itoa(len(w.params))
	w.params = append(w.params, Param{name, typ, value})
	return "{" + name + ":" + typ + "}"
}

// present writes, with a trailing AND, what must hold for the part of the record that has the field to be there.
func (w *sqlWriter) present(f *event.Field) {
	kind, field := partOf(f)
	switch {
	case kind != "":
		w.add("kind = ", w.param("String", string(kind)), " AND ")
	case field != nil:
		exists{}.sql(w, field)
		w.add(" AND ")
	}
}

func (n all) sql(w *sqlWriter)  { joinSQL(w, n, " AND ") }
func (n some) sql(w *sqlWriter) { joinSQL(w, n, " OR ") }

func joinSQL(w *sqlWriter, nodes []node, word string) {
	for i, n := range nodes {
		if i > 0 {
			w.add(word)
		}
		w.add("(")
		n.sql(w)
		w.add(")")
	}
}

func (n negation) sql(w *sqlWriter) {
	w.add("NOT (")
	n.of.sql(w)
	w.add(")")
}

func (n *condition) sql(w *sqlWriter) { anySQL(w, n.test, n.fields, false) }

func (n *bareWord) sql(w *sqlWriter) {
	if n.address != nil {
		anySQL(w, n.address, n.ips, false)
	}
	anySQL(w, contains(n.word), n.texts, n.address != nil)
	if len(n.texts) == 0 && n.address == nil {
		w.add("0")
	}
}

func anySQL(w *sqlWriter, t test, fields []*event.Field, more bool) {
	for _, f := range fields {
		if more {
			w.add(" OR ")
		}
		more = true
		w.add("(")
		t.sql(w, f)
		w.add(")")
	}
}

func (exists) sql(w *sqlWriter, f *event.Field) {
	c := f.Column()
	switch f.Type {
	case event.TypeString, event.TypeBytes, event.TypeList, event.TypeID:
		w.add("notEmpty(", c, ")")
	case event.TypeIP:
		w.add(c, " != ", w.param(addresses.paramTyp, addresses.param(addresses.missing)))
	case event.TypeTime:
		w.add(c, " > ", w.param(times.paramTyp, times.param(0)))
	default:
		w.add(c, " != 0")
	}
}

func (c covers) sql(w *sqlWriter, f *event.Field)   { textSQL(w, f, pattern(c).lower()) }
func (c contains) sql(w *sqlWriter, f *event.Field) { textSQL(w, f, pattern(c).lower().unanchored()) }

func textSQL(w *sqlWriter, f *event.Field, p pattern) {
	if f.Type == event.TypeList {
		w.add("arrayExists(x -> ")
		patternSQL(w, "x", p)
		w.add(", ", f.Column(), ")")
		return
	}
	patternSQL(w, f.Column(), p)
}

// patternSQL writes the cheapest expression for the pattern: a comparison or a plain search if it can be one, which the
// database does many times faster than a regular expression and for which it can use its skip indexes.
func patternSQL(w *sqlWriter, x string, p pattern) {
	middle, first := p.cutStar(0)
	middle, last := middle.cutStar(len(middle) - 1)
	text, plain := middle.plain()
	switch {
	case !plain:
		w.add("match(lower(", x, "), ", w.param("String", p.regexp()), ")")
	case first && (last || len(p) == 1):
		w.add("lower(", x, ") LIKE ", w.param("String", "%"+escapeLike(text)+"%"))
	case first:
		w.add("endsWith(lower(", x, "), ", w.param("String", text), ")")
	case last:
		w.add("startsWith(lower(", x, "), ", w.param("String", text), ")")
	default:
		w.add("lower(", x, ") = ", w.param("String", text))
	}
}

// escapeLike makes LIKE take the text for what it is.
func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

func (b isTrue) sql(w *sqlWriter, f *event.Field) {
	w.present(f)
	if b {
		w.add(f.Column())
	} else {
		w.add("NOT ", f.Column())
	}
}

func (id isID) sql(w *sqlWriter, f *event.Field) {
	s := event.ID(id).String()
	w.add(f.Column(), " = ", w.param("UUID", s[:8]+"-"+s[8:12]+"-"+s[12:16]+"-"+s[16:20]+"-"+s[20:]))
}
