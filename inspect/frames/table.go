package frames

import "golang.org/x/net/http2/hpack"

const (
	maxTable  = 256 << 10 // of a header table; peers allow less
	maxFields = 256 << 10 // bytes of one header block's field lines
)

// table reads a peer's header blocks, all of them, so that any can be written anew.
type table struct {
	decoder *hpack.Decoder
	fields  []hpack.HeaderField
	size    int
	anew    bool // blocks are written anew: the receiver's table is no longer the sender's
	told    bool // the receiver was told that its table is not used
}

func newTable() *table {
	t := &table{}
	t.decoder = hpack.NewDecoder(4096, t.add)
	t.decoder.SetAllowedMaxDynamicTableSize(maxTable)
	t.decoder.SetMaxStringLength(maxFields)
	return t
}

// add takes a field line. Few bytes can refer to long ones many times.
func (t *table) add(f hpack.HeaderField) {
	if t.size += int(f.Size()); t.size <= maxFields {
		t.fields = append(t.fields, f)
	}
}

// read returns the field lines of a block, valid until the next one is read.
func (t *table) read(block []byte) ([]hpack.HeaderField, error) {
	t.fields, t.size = t.fields[:0], 0
	if _, err := t.decoder.Write(block); err != nil {
		return nil, errBlock
	}
	if t.decoder.Close() != nil || t.size > maxFields {
		return nil, errBlock
	}
	return t.fields, nil
}

// write appends a header block with the field lines, which were read out of one that begins with the frame. What of that frame's payload
// comes before the block stays there.
func (t *table) write(b []byte, first frame, before []byte, fields []hpack.HeaderField) []byte {
	var text []byte
	if !t.told {
		t.told, text = true, append(text, 0x20) // a table of size 0: what the receiver has in its own is never referred to again
	}
	for _, f := range fields {
		text = appendField(text, f)
	}
	return appendBlock(b, first, before, text)
}
