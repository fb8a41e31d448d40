package query

import (
	"fmt"
	"strings"
)

// parser reads
//
//	or        = and { "or" and }
//	and       = not { [ "and" ] not }
//	not       = "not" not | "(" or ")" | condition
//	condition = name op value | value
//	value     = word | "[" word "to" word "]" | "(" or ")"
//
// where a parenthesis behind a name holds values of that field, joined by the same words.
type parser struct {
	lexer
	depth, terms int
}

func (p *parser) parse() (node, error) {
	p.skipSpace()
	if p.pos == len(p.text) {
		return nil, nil
	}
	n, err := p.or(nil)
	if err != nil {
		return nil, err
	}
	if p.pos < len(p.text) {
		return nil, p.errorHere("there is a ) too many")
	}
	return n, nil
}

func (p *parser) errorHere(message string) *Error {
	return &Error{Start: p.pos, End: min(p.pos+1, len(p.text)), Message: message}
}

// or reads alternatives; of is the field that values belong to, or nil outside a group of values.
func (p *parser) or(of *target) (node, error) {
	var nodes some
	for {
		n, err := p.and(of)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if !p.keyword("or") {
			break
		}
	}
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	return nodes, nil
}

func (p *parser) and(of *target) (node, error) {
	var nodes all
	for {
		n, err := p.not(of)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if !p.keyword("and") && p.atEndOfAnd() {
			break
		}
	}
	if len(nodes) == 1 {
		return nodes[0], nil
	}
	return nodes, nil
}

func (p *parser) atEndOfAnd() bool {
	p.skipSpace()
	at := p.pos
	end := p.pos == len(p.text) || p.peek() == ')' || p.keyword("or")
	p.pos = at
	return end
}

func (p *parser) not(of *target) (node, error) {
	p.skipSpace()
	at := p.pos
	if !p.keyword("not") {
		return p.primary(of)
	}
	if err := p.deeper(at); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	n, err := p.not(of)
	if err != nil {
		return nil, err
	}
	return negation{n}, nil
}

func (p *parser) deeper(at int) error {
	if p.depth++; p.depth > MaxDepth {
		return &Error{Start: at, End: at + 1, Message: fmt.Sprintf("parentheses and nots are nested deeper than %d", MaxDepth)}
	}
	return nil
}

func (p *parser) primary(of *target) (node, error) {
	p.skipSpace()
	switch p.peek() {
	case '(':
		return p.group(of)
	case ')':
		return nil, p.errorHere("something to search for is missing here")
	}
	if p.pos == len(p.text) {
		return nil, p.errorHere("something to search for is missing here")
	}
	if k := p.nextKeyword(); k != "" && k != "to" {
		return nil, &Error{Start: p.pos, End: p.pos + len(k),
			Message: fmt.Sprintf("something to search for is missing before %q; put it in quotes to search for the word", k), Suggestion: `"` + k + `"`}
	}
	if p.terms++; p.terms > MaxTerms {
		return nil, p.errorHere(fmt.Sprintf("there are more than %d conditions", MaxTerms))
	}
	if of != nil {
		return p.operand(of, ":")
	}
	return p.condition()
}

// group reads a parenthesis.
func (p *parser) group(of *target) (node, error) {
	open := p.pos
	if err := p.deeper(open); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.pos++
	n, err := p.or(of)
	if err != nil {
		return nil, err
	}
	if p.skipSpace(); !p.take(")") {
		return nil, &Error{Start: open, End: open + 1, Message: "the parenthesis is never closed"}
	}
	return n, nil
}

// condition reads a field with its value, or a bare word.
func (p *parser) condition() (node, error) {
	start := p.pos
	if name := p.name(); name != "" && !startsAddress(p.text[start:]) {
		end := p.pos
		if op := p.operator(); op != "" {
			t, err := lookUp(name, start, end)
			if err != nil {
				return nil, err
			}
			p.skipSpace()
			return p.operand(t, op)
		}
	}
	p.pos = start
	w, err := p.value("")
	if err != nil {
		return nil, err
	}
	if text, plain := w.pattern.plain(); plain && text == "" {
		return nil, &Error{Start: w.start, End: w.end, Message: "nothing stands between the quotation marks"}
	}
	return newBareWord(w), nil
}

// operand reads the value behind a field and its operator.
func (p *parser) operand(of *target, op string) (node, error) {
	switch {
	case p.peek() == '(' && op == ":":
		return p.group(of)
	case p.peek() == '[' && op == ":":
		return p.interval(of)
	}
	w, err := p.value("")
	if err != nil {
		return nil, err
	}
	if w.start == w.end {
		return nil, &Error{Start: of.start, End: of.end, Message: fmt.Sprintf("a value is missing behind %s", of.name)}
	}
	if op == "!=" {
		n, err := of.condition(":", w)
		return negation{n}, err
	}
	return of.condition(op, w)
}

// interval reads [low to high].
func (p *parser) interval(of *target) (node, error) {
	open := p.pos
	p.pos++
	p.skipSpace()
	low, err := p.value("]")
	if err != nil {
		return nil, err
	}
	if !p.keyword("to") {
		return nil, &Error{Start: open, End: p.pos, Message: "a range is written [low to high], with * for no bound"}
	}
	p.skipSpace()
	high, err := p.value("]")
	if err != nil {
		return nil, err
	}
	if p.skipSpace(); !p.take("]") || low.start == low.end || high.start == high.end {
		return nil, &Error{Start: open, End: p.pos, Message: "a range is written [low to high], with * for no bound"}
	}
	return of.interval(low, high)
}

// keyword moves on if the word comes next, in any case.
func (p *parser) keyword(want string) bool {
	p.skipSpace()
	if p.nextKeyword() != want {
		return false
	}
	p.pos += len(want)
	return true
}

// nextKeyword returns the word and, or, not or to if it comes next and is no field, else "".
func (p *parser) nextKeyword() string {
	at := p.pos
	defer func() { p.pos = at }()
	k := strings.ToLower(p.name())
	switch k {
	case "and", "or", "not", "to":
	default:
		return ""
	}
	if c := p.peek(); c == 0 && p.pos == len(p.text) || c == '(' || c == ')' || c == '"' || c == ']' {
		return k
	}
	end := p.pos
	if p.skipSpace(); p.pos > end {
		return k
	}
	return ""
}
