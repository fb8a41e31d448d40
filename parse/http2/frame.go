package http2

import "encoding/binary"

const (
	headerSize   = 9
	defaultFrame = 16 << 10 // SETTINGS_MAX_FRAME_SIZE before it is set (RFC 9113, section 6.5.2)
)

// Frame types (section 6).
const (
	typeData         = 0x0
	typeHeaders      = 0x1
	typePriority     = 0x2
	typeReset        = 0x3
	typeSettings     = 0x4
	typePush         = 0x5
	typePing         = 0x6
	typeGoAway       = 0x7
	typeWindow       = 0x8
	typeContinuation = 0x9
)

// Flags. The first has two meanings.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// frame is the header of a frame.
type frame struct {
	length int
	typ    uint8
	flags  uint8
	stream uint32
}

// frameOf reads the header of a frame. b has at least headerSize bytes.
func frameOf(b []byte) frame {
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		typ:    b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) &^ (1 << 31),
	}
}

func (f frame) has(flag uint8) bool { return f.flags&flag != 0 }

// form says what a frame of each type must look like: its length, its flags, and whether it belongs to a stream.
var form = [...]struct {
	least, most int
	flags       uint8
	stream      bool
}{
	typeData:         {0, 1<<24 - 1, flagEndStream | flagPadded, true},
	typeHeaders:      {1, 1<<24 - 1, flagEndStream | flagEndHeaders | flagPadded | flagPriority, true},
	typePriority:     {5, 5, 0, true},
	typeReset:        {4, 4, 0, true},
	typeSettings:     {0, 1<<24 - 1, flagAck, false},
	typePush:         {4, 1<<24 - 1, flagEndHeaders | flagPadded, true},
	typePing:         {8, 8, flagAck, false},
	typeGoAway:       {8, 1<<24 - 1, 0, false},
	typeWindow:       {4, 4, 0, true},
	typeContinuation: {0, 1<<24 - 1, flagEndHeaders, true},
}

// known reports whether the type is one of RFC 9113. Others are to be ignored.
func (f frame) known() bool { return int(f.typ) < len(form) }

// valid reports whether length and stream fit the type.
func (f frame) valid() bool {
	want := form[f.typ]
	switch {
	case f.length < want.least || f.length > want.most,
		f.typ == typeSettings && (f.length%6 != 0 || f.has(flagAck) && f.length > 0):
		return false
	case f.typ == typeWindow: // of a stream or of the connection
		return true
	}
	return want.stream == (f.stream != 0)
}

// plausible reports whether b, of at least headerSize bytes, may well be the header of a frame. It is stricter than valid:
// it tells frames from other bytes.
func plausible(b []byte, longest int, last uint32) bool {
	f := frameOf(b)
	return f.known() && f.valid() && f.length <= longest && f.flags&^form[f.typ].flags == 0 && b[5]&0x80 == 0 && f.stream <= last &&
		(f.typ != typeData || f.length > 0 || f.has(flagEndStream))
}
