package store

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"

	"github.com/vitrine-ndr/vitrine/event"
)

// cells are the values of one column in a batch.
type cells interface {
	col() proto.Column
	add(v reflect.Value)      // the zero Value adds what stands for nothing
	at(row int) reflect.Value // of a type that converts to the field's
}

type cellsOf[T any] struct {
	proto.ColumnOf[T]
	from func(reflect.Value) T
	to   func(T) reflect.Value
}

func (c *cellsOf[T]) col() proto.Column { return c.ColumnOf }

func (c *cellsOf[T]) add(v reflect.Value) {
	var x T
	if v.IsValid() {
		x = c.from(v)
	}
	c.Append(x)
}

func (c *cellsOf[T]) at(row int) reflect.Value { return c.to(c.Row(row)) }

func valueOf[T any](x T) reflect.Value { return reflect.ValueOf(x) }

func intCells[T int8 | int16 | int32 | int64](c proto.ColumnOf[T]) cells {
	return &cellsOf[T]{c, func(v reflect.Value) T { return T(v.Int()) }, valueOf[T]}
}

func uintCells[T uint8 | uint16 | uint32 | uint64](c proto.ColumnOf[T]) cells {
	return &cellsOf[T]{c, func(v reflect.Value) T { return T(v.Uint()) }, valueOf[T]}
}

// newCells returns an empty column for the field. It must agree with columnType.
func newCells(f *event.Field) cells {
	switch f.Type {
	case event.TypeString:
		return &cellsOf[string]{stringColumn(f), reflect.Value.String, valueOf[string]}
	case event.TypeBytes:
		return &cellsOf[[]byte]{new(proto.ColBytes), reflect.Value.Bytes, func(b []byte) reflect.Value { return valueOf(slices.Clone(b)) }}
	case event.TypeList:
		return &cellsOf[[]string]{new(proto.ColStr).Array(), func(v reflect.Value) []string { return v.Interface().([]string) }, valueOf[[]string]}
	case event.TypeBool:
		return &cellsOf[bool]{new(proto.ColBool), reflect.Value.Bool, valueOf[bool]}
	case event.TypeTime:
		return &cellsOf[time.Time]{new(proto.ColDateTime64).WithPrecision(proto.PrecisionNano).WithLocation(time.UTC), storedTime, loadedTime}
	case event.TypeIP:
		return &cellsOf[proto.IPv6]{new(proto.ColIPv6), storedIP, loadedIP}
	case event.TypeID:
		return &cellsOf[uuid.UUID]{new(proto.ColUUID), func(v reflect.Value) uuid.UUID { return uuid.UUID(v.Interface().(event.ID)) }, func(u uuid.UUID) reflect.Value { return valueOf(event.ID(u)) }}
	}
	return newNumbers(f)
}

func newNumbers(f *event.Field) cells {
	switch kind := fmt.Sprint(f.Type, f.Bits); kind {
	case "int8":
		return intCells(new(proto.ColInt8))
	case "int16":
		return intCells(new(proto.ColInt16))
	case "int32":
		return intCells(new(proto.ColInt32))
	case "int64":
		return intCells(new(proto.ColInt64))
	case "uint8":
		return uintCells(new(proto.ColUInt8))
	case "uint16":
		return uintCells(new(proto.ColUInt16))
	case "uint32":
		return uintCells(new(proto.ColUInt32))
	case "uint64":
		return uintCells(new(proto.ColUInt64))
	default:
		panic("store: field " + f.Name + " has type " + kind) // a programming mistake that any test finds
	}
}

func stringColumn(f *event.Field) proto.ColumnOf[string] {
	if f.Unique {
		return new(proto.ColStr)
	}
	return new(proto.ColStr).LowCardinality()
}

// storedTime gives times that the store cannot hold in nanoseconds as missing: before 1970 and after 2261.
func storedTime(v reflect.Value) time.Time {
	t := v.Interface().(time.Time)
	if y := t.Year(); y < 1970 || y > 2261 {
		return time.Time{}
	}
	return t
}

func loadedTime(t time.Time) reflect.Value {
	if t.UnixNano() == 0 {
		return valueOf(time.Time{})
	}
	return valueOf(t.UTC())
}

// storedIP keeps IPv4 as part of IPv6, and no address as ::.
func storedIP(v reflect.Value) (ip proto.IPv6) {
	if a := v.Interface().(netip.Addr); a.IsValid() {
		ip = a.As16()
	}
	return ip
}

func loadedIP(ip proto.IPv6) reflect.Value {
	if ip == (proto.IPv6{}) {
		return valueOf(netip.Addr{})
	}
	return valueOf(netip.AddrFrom16(ip).Unmap())
}

// column is one column of the table events in a batch.
type column struct {
	name  string
	field *event.Field // nil for emptyParts
	cells cells
	used  bool // there is a value that is not zero
}

// batch is a number of records by columns. It is reused.
type batch struct {
	columns []column
	rows    int
}

// newBatch returns an empty batch of the fields.
func newBatch(fields []*event.Field) *batch {
	b := &batch{columns: make([]column, 0, len(fields)+1)}
	for _, f := range fields {
		b.columns = append(b.columns, column{name: f.Column(), field: f, cells: newCells(f)})
	}
	b.columns = append(b.columns, column{name: emptyParts, cells: newCells(&event.Field{Type: event.TypeString})})
	return b
}

func (b *batch) reset() {
	for i := range b.columns {
		b.columns[i].cells.col().Reset()
		b.columns[i].used = false
	}
	b.rows = 0
}

func (b *batch) add(r *event.Record) {
	for i := range b.columns {
		c := &b.columns[i]
		var v reflect.Value
		if c.field != nil {
			v = c.field.Value(r)
		} else {
			v = valueOf(emptyPartsOf(r))
		}
		c.cells.add(v)
		c.used = c.used || v.IsValid() && !v.IsZero()
	}
	b.rows++
}

// input returns the columns that have values: the store fills in the others more cheaply than they can be sent.
func (b *batch) input() proto.Input {
	var in proto.Input
	for i := range b.columns {
		if c := &b.columns[i]; c.used {
			in = append(in, proto.InputColumn{Name: c.name, Data: c.cells.col()})
		}
	}
	return in
}

func (b *batch) results() proto.Results {
	out := make(proto.Results, len(b.columns))
	for i := range b.columns {
		out[i] = proto.ResultColumn{Name: b.columns[i].name, Data: b.columns[i].cells.col()}
	}
	return out
}

// record returns the record in a row of a batch that was read.
func (b *batch) record(row int) *event.Record {
	r := new(event.Record)
	for i := range b.columns {
		c := &b.columns[i]
		v := c.cells.at(row)
		if v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 {
			continue
		}
		if c.field != nil {
			c.field.Set(r, v)
		} else {
			makeParts(r, v.String())
		}
	}
	return r
}

// emptyParts is the column that names the parts of a Record that are there with no value in them, which the other columns
// cannot tell from parts that are missing. It nearly always says nothing.
const emptyParts = "empty_parts"

// part is a struct inside a Record that may be missing.
type part struct {
	name  string // as the fields in it begin
	index []int
}

// recordParts are all of them, from the outside in. Not to be changed.
var recordParts = partsOf(reflect.TypeFor[event.Record](), "", nil)

func partsOf(t reflect.Type, prefix string, at []int) []part {
	var out []part
	for sf := range t.Fields() {
		if sf.Type.Kind() != reflect.Pointer || sf.Type.Elem().Kind() != reflect.Struct {
			continue
		}
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		p := part{prefix + name, append(slices.Clone(at), sf.Index...)}
		out = append(append(out, p), partsOf(sf.Type.Elem(), p.name+".", p.index)...)
	}
	return out
}

func emptyPartsOf(r *event.Record) string {
	var names []string
	for i := range recordParts {
		v := reflect.ValueOf(r).Elem()
		for _, j := range recordParts[i].index {
			if v = v.Field(j); v.IsNil() {
				break
			}
			v = v.Elem()
		}
		if v.Kind() == reflect.Struct && v.IsZero() {
			names = append(names, recordParts[i].name)
		}
	}
	return strings.Join(names, ",")
}

func makeParts(r *event.Record, names string) {
	for name := range strings.SplitSeq(names, ",") {
		for i := range recordParts {
			if recordParts[i].name != name {
				continue
			}
			v := reflect.ValueOf(r).Elem()
			for _, j := range recordParts[i].index {
				if v = v.Field(j); v.IsNil() {
					v.Set(reflect.New(v.Type().Elem()))
				}
				v = v.Elem()
			}
		}
	}
}
