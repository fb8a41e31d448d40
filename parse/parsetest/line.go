package parsetest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse"
)

// eventLine returns the fields of a body that are not zero as a JSON object, in the order of event.Fields. Bytes are
// text where they are valid UTF-8, else base64 with that word before it.
func eventLine(b event.Body) string {
	r := (&event.Event{Body: b}).Record()
	line := []byte{'{'}
	for i := range event.Fields {
		f := &event.Fields[i]
		v := f.Value(r)
		if !v.IsValid() || v.IsZero() || f.Name == "time" {
			continue
		}
		if len(line) > 1 {
			line = append(line, ',')
		}
		line = append(append(appendJSON(line, f.Name), ':'), value(v)...)
	}
	return string(append(line, '}'))
}

func value(v reflect.Value) []byte {
	b, ok := v.Interface().([]byte)
	switch {
	case !ok:
		return appendJSON(nil, v.Interface())
	case utf8.Valid(b):
		return appendJSON(nil, string(b))
	}
	return appendJSON(nil, "base64 "+base64.StdEncoding.EncodeToString(b))
}

func becomeLine(name string, upgrade *parse.Upgrade) string {
	line := appendJSON([]byte(`{"become":`), name)
	if upgrade != nil {
		line = appendJSON(append(line, `,"upgrade":`...), upgrade)
	}
	return string(append(line, '}'))
}

func expectLine(at parse.Listener, name string) string {
	line := appendJSON([]byte(`{"expect":`), name)
	line = appendJSON(append(line, `,"side":`...), at.Side.String())
	line = appendJSON(append(line, `,"address":`...), at.Address)
	return string(append(appendJSON(append(line, `,"port":`...), at.Port), '}'))
}

func gaveUpLine(err error) string {
	return string(append(appendJSON([]byte(`{"gave_up":`), err.Error()), '}'))
}

// appendJSON leaves HTML characters as they are, so that playbooks can be read.
func appendJSON(to []byte, v any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err)) // a field type without a JSON form is a mistake in package event
	}
	return append(to, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// checkKept checks that no event keeps more bytes of a body than the limit allows.
func (c *conn) checkKept(b event.Body) {
	r := (&event.Event{Body: b}).Record()
	for i := range event.Fields {
		f := &event.Fields[i]
		if f.Type != event.TypeBytes {
			continue
		}
		if v := f.Value(r); v.IsValid() && v.Len() > c.limits.Body {
			c.breach("%s keeps %d bytes, at most %d may be kept", f.Name, v.Len(), c.limits.Body)
		}
	}
}
