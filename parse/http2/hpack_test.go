package http2

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestDecoderAgainstEncoder decodes what x/net encodes while the size of the table changes.
func TestDecoderAgainstEncoder(t *testing.T) {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	enc.SetMaxDynamicTableSizeLimit(maxTableSize)
	d := newDecoder()
	for i := range 2000 {
		b.Reset()
		if i%97 == 0 {
			enc.SetMaxDynamicTableSize(uint32(i * 31 % maxTableSize))
		}
		want := []hpack.HeaderField{
			{Name: ":path", Value: fmt.Sprint("/", i%50)}, {Name: fmt.Sprint("x-", i%300), Value: fmt.Sprint("value ", i%7)},
			{Name: "cookie", Value: fmt.Sprint("secret-", i), Sensitive: true}, {Name: "accept", Value: "*/*"},
		}
		for _, f := range want {
			if err := enc.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		var got []field
		if err := d.decode(b.Bytes(), func(f field) bool { got = append(got, f); return true }); err != nil {
			t.Fatal(err)
		}
		for j, f := range want {
			if j >= len(got) || got[j] != (field{name: f.Name, value: f.Value}) {
				t.Fatalf("block %d, field %d: got %+v, want %v", i, j, got, f)
			}
		}
	}
}

// FuzzHPACK checks that whatever the decoder of x/net understands, ours understands the same way.
func FuzzHPACK(f *testing.F) {
	f.Add([]byte("\x82\x86\x84\x41\x0fwww.example.com"), []byte("\x82\x86\x84\xbe\x58\x08no-cache"))
	f.Add([]byte("\x3f\xe1\x1f\x40\x01a\x01b"), []byte("\x20\x40\x01c\x01d\xbe"))
	f.Add([]byte("\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"), []byte("\x10\x01a\x01b\x04\x02/x"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var want []field
		theirs := hpack.NewDecoder(defaultTableSize, func(f hpack.HeaderField) { want = append(want, field{name: f.Name, value: f.Value}) })
		ours := newDecoder()
		for _, b := range [][]byte{first, second} {
			want = nil
			_, err := theirs.Write(b)
			if err == nil {
				err = theirs.Close()
			}
			var got []field
			if err2 := ours.decode(b, func(f field) bool { got = append(got, f); return true }); err2 != nil {
				if err == nil {
					t.Fatalf("%x: %v, but x/net gets %v", b, err2, want)
				}
				return
			}
			if err != nil {
				return
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%x: got %v, want %v", b, got, want)
			}
			if ours.size > ours.max || len(ours.entries) > 4*(ours.max/fieldOverhead)+4 {
				t.Fatalf("table of %d bytes and %d slots is larger than %d", ours.size, len(ours.entries), ours.max)
			}
		}
	})
}

func TestUnknownEntries(t *testing.T) {
	d := newDecoder()
	if err := d.decode([]byte("\xbe"), func(field) bool { return true }); err == nil {
		t.Error("an entry that was never made is known")
	}
	d.forget()
	var got []field
	keep := func(f field) bool { got = append(got, f); return true }
	// A new entry, the new one, an old one, an entry whose name is old, that one, and a static one.
	if err := d.decode([]byte("\x40\x01a\x01b\xbe\xbf\x7e\x01c\x7f\x05\x01d\xbe\x82"), keep); err != nil {
		t.Fatal(err)
	}
	want := []field{
		{name: "a", value: "b"}, {name: "a", value: "b"}, {unknown: true}, {name: "a", value: "c"},
		{value: "d", unknown: true}, {value: "d", unknown: true}, {name: ":method", value: "GET"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
