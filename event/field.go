package event

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Type is the type of a field's values.
type Type string

const (
	TypeString Type = "string"
	TypeList   Type = "list" // of strings
	TypeInt    Type = "int"
	TypeUint   Type = "uint"
	TypeBool   Type = "bool"
	TypeTime   Type = "time"
	TypeIP     Type = "ip"
	TypeID     Type = "id"
	TypeBytes  Type = "bytes" // shown and searched as text
)

// Field is one value that a Record may have.
type Field struct {
	Name string // dotted path of JSON names
	Type Type
	Bits int      // of TypeInt and TypeUint: 8, 16, 32 or 64
	Enum []string // the values that it can have, nil if it is open
	Doc  string
	// Unique says that most values occur once or seldom, which a store keeps in another way. Sought says that people look
	// for few events by its value, which is worth an index. Both come from the store tag.
	Unique, Sought bool

	index []int
}

// Column returns the field's name in the store.
func (f *Field) Column() string { return strings.ReplaceAll(f.Name, ".", "_") }

// Value returns the field's value in r, or the zero reflect.Value if the part of the Record that it belongs to is nil.
func (f *Field) Value(r *Record) reflect.Value {
	v := reflect.ValueOf(r).Elem()
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

// Set stores a value of the field's Go type in r and makes the parts of the Record that it belongs to.
func (f *Field) Set(r *Record, x reflect.Value) { f.settable(r).Set(x.Convert(f.goType())) }

func (f *Field) settable(r *Record) reflect.Value {
	v := reflect.ValueOf(r).Elem()
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

func (f *Field) goType() reflect.Type { return reflect.TypeFor[Record]().FieldByIndex(f.index).Type }

// Fields are all fields of a Record, in the order of its definition. Not to be changed.
var Fields = fieldsOf(reflect.TypeFor[Record](), "", nil)

// FieldByName returns the field with the dotted name.
func FieldByName(name string) (*Field, bool) {
	f, ok := byName[name]
	return f, ok
}

var byName = func() map[string]*Field {
	m := make(map[string]*Field, len(Fields))
	for i := range Fields {
		m[Fields[i].Name] = &Fields[i]
	}
	return m
}()

func fieldsOf(t reflect.Type, prefix string, at []int) []Field {
	var out []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(append([]int(nil), at...), i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if typ, bits, ok := typeOf(sf.Type); ok {
			store := strings.Split(sf.Tag.Get("store"), ",")
			out = append(out, Field{Name: prefix + name, Type: typ, Bits: bits, Enum: enumOf(sf), Doc: sf.Tag.Get("doc"),
				Unique: slices.Contains(store, "unique"), Sought: slices.Contains(store, "sought"), index: index})
			continue
		}
		inner, ft := prefix, sf.Type
		if !sf.Anonymous {
			inner = prefix + name + "."
		}
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		out = append(out, fieldsOf(ft, inner, index)...)
	}
	return out
}

func enumOf(sf reflect.StructField) []string {
	if e := sf.Tag.Get("enum"); e != "" {
		return strings.Split(e, ",")
	}
	return nil
}

// typeOf returns false for a struct that has fields of its own.
func typeOf(t reflect.Type) (typ Type, bits int, ok bool) {
	switch t {
	case reflect.TypeFor[flow.ID]():
		return TypeID, 0, true
	case reflect.TypeFor[time.Time]():
		return TypeTime, 0, true
	case reflect.TypeFor[netip.Addr]():
		return TypeIP, 0, true
	case reflect.TypeFor[[]byte]():
		return TypeBytes, 0, true
	case reflect.TypeFor[[]string]():
		return TypeList, 0, true
	}
	switch t.Kind() {
	case reflect.String:
		return TypeString, 0, true
	case reflect.Bool:
		return TypeBool, 0, true
	case reflect.Int, reflect.Int64:
		return TypeInt, 64, true
	case reflect.Uint16:
		return TypeUint, 16, true
	case reflect.Uint32:
		return TypeUint, 32, true
	case reflect.Uint64:
		return TypeUint, 64, true
	}
	return "", 0, false
}
