// Package query is the search language: one grammar for the console, the command line and the live tail. The text of a
// search comes in; a typed Filter goes out that writes itself as SQL, decides on a Record, and prints itself in one
// canonical form. The package does no I/O; it knows event.Fields and ClickHouse's functions, and neither tables nor users.
// docs/search-language.md describes the language.
package query

import (
	"fmt"

	"github.com/vitrine-ndr/vitrine/event"
)

// Bounds of a search. They keep the work of reading and answering one small, whoever wrote it.
const (
	MaxLength = 8192 // bytes of text
	MaxDepth  = 32   // nested parentheses and nots
	MaxTerms  = 256  // conditions
)

// Filter is a search that has been understood. It is immutable and safe for concurrent use.
type Filter struct {
	root node // nil matches everything
}

// Error is a mistake in the text of a search. Start and End are byte offsets into it.
type Error struct {
	Start, End int
	Message    string // what is wrong and what to do
	Suggestion string // text that could stand at Start:End instead, or empty
}

func (e *Error) Error() string { return fmt.Sprintf("%s (at byte %d)", e.Message, e.Start) }

// Parse reads a search. The error is always an *Error.
func Parse(text string) (*Filter, error) {
	if len(text) > MaxLength {
		return nil, &Error{Start: MaxLength, End: len(text), Message: fmt.Sprintf("the search is longer than %d bytes", MaxLength)}
	}
	p := &parser{lexer: lexer{text: text}}
	root, err := p.parse()
	if err != nil {
		return nil, err
	}
	return &Filter{root}, nil
}

// Empty reports whether the filter matches everything.
func (f *Filter) Empty() bool { return f.root == nil }

// Match reports whether SQL would select the record's row.
func (f *Filter) Match(r *event.Record) bool { return f.root == nil || f.root.match(r) }

// String returns the canonical form: Parse gives an equal Filter for it, whose String is the same.
func (f *Filter) String() string {
	if f.root == nil {
		return ""
	}
	return f.root.text(false)
}

// Param is a value that the SQL refers to as {Name:Type}. Value is the plain text: whoever sends it escapes it as the
// interface of the database asks for.
type Param struct{ Name, Type, Value string }

// SQL returns the condition for a WHERE clause over the columns of event.Fields. All that a person wrote is in the parameters.
func (f *Filter) SQL() (where string, params []Param) {
	if f.root == nil {
		return "1", nil
	}
	var w sqlWriter
	f.root.sql(&w)
	return w.String(), w.params
}

// Without returns the filter for somebody who may not search the hidden fields: bare words no longer look into them, and a
// condition on one is an *Error.
func (f *Filter) Without(hidden func(*event.Field) bool) (*Filter, error) {
	if f.root == nil {
		return f, nil
	}
	root, err := f.root.without(hidden)
	if err != nil {
		return nil, err
	}
	return &Filter{root}, nil
}
