package frames

import (
	"bytes"
	"encoding/binary"
	"slices"

	"golang.org/x/net/http2/hpack"

	"github.com/vitrine-ndr/vitrine/inspect/altsvc"
)

// altSvc is the type of frames that announce alternatives (RFC 7838, section 4).
const altSvc = 0xa

// Announcements edits what a server sends, so that the client does not learn that it is there by QUIC too. Only header blocks and ALTSVC
// frames wait until they are whole. A header block that cannot be read, or that takes too much memory here, passes as it is, with all that
// follows: the client has the server's table, and may do better. Once a block was written anew it has not: then such a block is an error.
type Announcements struct {
	kept    []byte // frames that are looked at whole, so far
	look    int    // length of kept at which there is more to see: a frame's header or its payload
	current frame  // in kept, the frame whose payload comes; valid iff inside is
	inside  bool
	left    int  // bytes of a frame's payload still to come that pass as they come
	plain   bool // a block could not be read: all that follows passes as it is, unless the client's table is another one

	table *table
	named bool // the field was named: before, it is enough to keep the table up
}

// NewAnnouncements returns an editor for what comes from the first byte of a connection on.
func NewAnnouncements() *Announcements {
	return &Announcements{look: headerSize, table: newTable()}
}

// Edit takes what the server has said and returns what is forwarded: b itself where nothing is taken out and nothing waits. Behind an error
// nothing more can be.
func (a *Announcements) Edit(b []byte) ([]byte, error) {
	var out []byte
	from, waited := 0, len(a.kept) // where in b begins what is in out or taken out not yet; how much of kept came before b
	until := func(end int) []byte {
		if out == nil {
			return b[from:end]
		}
		return append(out, b[from:end]...)
	}
	for at := 0; at < len(b) && !a.plain; {
		if a.left > 0 {
			n := min(a.left, len(b)-at)
			a.left -= n
			at += n
			continue
		}
		begin := at
		n, whole := a.collect(b[at:])
		if at += n; !whole {
			return until(begin), nil
		}
		text, same := a.whole()
		if !same || waited > 0 {
			out = append(append(out, b[from:begin]...), text...)
			from = at
		}
		a.restart()
		waited = 0
	}
	if a.plain && a.table.anew {
		return nil, errBlock
	}
	return until(len(b)), nil
}

// most is how much room for frames an idle connection keeps.
const most = 1 << 10

func (a *Announcements) restart() {
	if a.kept = a.kept[:0]; cap(a.kept) > most {
		a.kept = nil
	}
	a.look, a.inside = headerSize, false
}

// collect takes a piece of what is looked at whole: the header of a frame whose payload passes, an ALTSVC frame, or all frames of a header
// block. It returns how much of b belongs to that, and whether that is all.
func (a *Announcements) collect(b []byte) (n int, whole bool) {
	for !whole {
		missing := a.look - len(a.kept)
		k := min(missing, len(b)-n)
		a.kept = append(a.kept, b[n:n+k]...)
		n += k
		if k < missing {
			return n, false
		}
		if a.inside {
			whole = a.payload()
		} else {
			whole = a.header(frameOf(a.kept[a.look-headerSize:]))
		}
	}
	return n, true
}

// payload ends a frame in kept.
func (a *Announcements) payload() (whole bool) {
	if a.inside = false; a.current.typ == altSvc || a.current.has(endHeaders) {
		return true
	}
	a.look += headerSize
	return false
}

// header begins a frame in kept.
func (a *Announcements) header(f frame) (whole bool) {
	inBlock := len(a.kept) > headerSize
	switch {
	case inBlock != (f.typ == continuation), inBlock && f.stream != a.current.stream,
		inBlock && len(a.kept)+f.length > maxBlock, (f.typ == headers || f.typ == push) && f.length > maxBlock:
		a.plain = true
		return true
	case inBlock, f.typ == headers, f.typ == push, f.typ == altSvc && f.length <= maxControl:
		a.current, a.inside = f, true
		a.look += f.length
		return false
	}
	a.left = f.length
	return true
}

// whole returns what becomes of the frames in kept. They are the same where that is so.
func (a *Announcements) whole() (text []byte, same bool) {
	f := frameOf(a.kept)
	switch {
	case a.plain:
	case f.typ == headers, f.typ == push:
		if text, changed := a.fields(f); changed {
			return text, false
		}
	case f.typ == altSvc && a.left == 0:
		if text, changed := withoutAlternatives(f, a.kept[headerSize:]); changed {
			return text, false
		}
	}
	return a.kept, true
}

// fields returns a header block without announcements. Once one was taken out, all blocks are written anew.
func (a *Announcements) fields(f frame) (text []byte, changed bool) {
	before, block, ok := unwrap(a.kept)
	if !ok {
		a.plain = true
		return nil, false
	}
	a.named = a.named || names(block)
	a.table.decoder.SetEmitEnabled(a.named)
	fields, err := a.table.read(block)
	if err != nil {
		a.plain = true
		return nil, false
	}
	if fields = a.strike(fields); !a.table.anew {
		return nil, false
	}
	return a.table.write(nil, f, before, fields), true
}

// strike takes announcements out of field lines. Then this block and all that follow are written anew.
func (a *Announcements) strike(fields []hpack.HeaderField) []hpack.HeaderField {
	for i := range fields {
		f := &fields[i]
		if f.Name != altsvc.Name {
			continue
		}
		if is := altsvc.Without(f.Value); is != f.Value {
			f.Value, a.table.anew = is, true
		}
	}
	return slices.DeleteFunc(fields, func(f hpack.HeaderField) bool { return f.Name == altsvc.Name && f.Value == "" })
}

// nameForms are the field's name as header blocks spell it: it is in no static table, so it comes so before anything can refer to it.
var nameForms = [...][]byte{
	append([]byte{byte(len(altsvc.Name))}, altsvc.Name...),
	append([]byte{0x80 | byte(hpack.HuffmanEncodeLength(altsvc.Name))}, hpack.AppendHuffmanString(nil, altsvc.Name)...),
}

// names tells whether a header block may name the field.
func names(block []byte) bool {
	return bytes.Contains(block, nameForms[0]) || bytes.Contains(block, nameForms[1])
}

// withoutAlternatives is an ALTSVC frame without those by QUIC.
func withoutAlternatives(f frame, payload []byte) (text []byte, changed bool) {
	if len(payload) < 2 {
		return nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(payload)) // the origin that it is about
	if n > len(payload) {
		return nil, false
	}
	was := string(payload[n:])
	is := altsvc.Without(was)
	if is == was {
		return nil, false
	}
	if is != "" {
		f.length = n + len(is)
		text = append(append(f.append(nil), payload[:n]...), is...)
	}
	return text, true
}
