package event

import (
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// texts are the places in a struct at which text from outside may stand. Fields of closed sets have none.
type texts struct {
	strings, lists []int // fields
	structs        []structField
}

// structField is a struct inside of another, or a pointer to one.
type structField struct {
	index   int
	pointer bool
	texts   texts
}

// recordTexts are those of a Record. Not to be changed.
var recordTexts = textsOf(reflect.TypeFor[Record]())

func textsOf(t reflect.Type) texts {
	var at texts
	for i := range t.NumField() {
		sf := t.Field(i)
		switch typ, _, ok := typeOf(sf.Type); {
		case typ == TypeString && enumOf(sf) == nil:
			at.strings = append(at.strings, i)
		case typ == TypeList:
			at.lists = append(at.lists, i)
		case ok:
		case sf.Type.Kind() == reflect.Pointer:
			at.structs = append(at.structs, structField{i, true, textsOf(sf.Type.Elem())})
		default:
			if inner := textsOf(sf.Type); len(inner.strings)+len(inner.lists)+len(inner.structs) > 0 {
				at.structs = append(at.structs, structField{i, false, inner})
			}
		}
	}
	return at
}

// plain reports whether escape has nothing to do: nearly always.
func (at *texts) plain(v reflect.Value) bool {
	for _, i := range at.strings {
		if !isPlain(v.Field(i).String()) {
			return false
		}
	}
	for _, i := range at.lists {
		if slices.ContainsFunc(*listAt(v, i), isNotPlain) {
			return false
		}
	}
	for i := range at.structs {
		f := &at.structs[i]
		inner := v.Field(f.index)
		if f.pointer {
			inner = inner.Elem()
		}
		if inner.IsValid() && !f.texts.plain(inner) {
			return false
		}
	}
	return true
}

// escape makes all texts of a struct valid UTF-8. What v only points to is not changed but copied: others share it.
func (at *texts) escape(v reflect.Value) {
	for _, i := range at.strings {
		v.Field(i).SetString(escaped(v.Field(i).String()))
	}
	for _, i := range at.lists {
		if list := listAt(v, i); slices.ContainsFunc(*list, isNotPlain) {
			*list = slices.Clone(*list)
			for k, s := range *list {
				(*list)[k] = escaped(s)
			}
		}
	}
	for i := range at.structs {
		f := &at.structs[i]
		inner := v.Field(f.index)
		switch {
		case !f.pointer:
			f.texts.escape(inner)
		case !inner.IsNil() && !f.texts.plain(inner.Elem()):
			own := reflect.New(inner.Type().Elem())
			own.Elem().Set(inner.Elem())
			f.texts.escape(own.Elem())
			inner.Set(own)
		}
	}
}

func listAt(v reflect.Value, i int) *[]string { return v.Field(i).Addr().Interface().(*[]string) }

// isPlain reports whether a text stands for itself.
func isPlain(s string) bool {
	return utf8.ValidString(s) && (strings.IndexByte(s, '\\') < 0 || !strings.Contains(s, `\x`)) // a byte is found faster than two
}

func isNotPlain(s string) bool { return !isPlain(s) }

const digits = "0123456789abcdef"

// escaped writes each byte that is no UTF-8 as \xHH. A backslash that would be read as the beginning of that becomes \x5c, so
// the bytes can always be had back.
func escaped(s string) string {
	if isPlain(s) {
		return s
	}
	out := make([]byte, 0, len(s)+16)
	for len(s) > 0 {
		c, n := utf8.DecodeRuneInString(s)
		if c == utf8.RuneError && n == 1 || isEscape(s) {
			out = append(out, '\\', 'x', digits[s[0]>>4], digits[s[0]&0xf])
		} else {
			out = append(out, s[:n]...)
		}
		s = s[n:]
	}
	return string(out)
}

// isEscape reports whether s begins as what escaped writes.
func isEscape(s string) bool {
	return len(s) >= 4 && s[:2] == `\x` && strings.IndexByte(digits, s[2]) >= 0 && strings.IndexByte(digits, s[3]) >= 0
}
