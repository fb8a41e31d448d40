package frames

import (
	"encoding/binary"
	"slices"

	"github.com/vitrine-ndr/vitrine/flow"
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	maxBlock   = 256 << 10 // bytes of a header block with its frames
	maxControl = 16 << 10  // bytes of another frame that is read whole
	maxOpen    = 10_000    // streams that are remembered
)

// ends says which sides of a stream have ended it.
type ends uint8

const (
	byClient ends = 1 << iota
	byServer
)

// pingMark begins the PINGs that are neither peer's.
const pingMark = "vtrn"

// Judge knows what is to become of a client's streams.
type Judge interface {
	// Judged is the highest stream whose request was judged.
	Judged() uint32
	// Verdict is about a stream that is no higher than that.
	Verdict(stream uint32) flow.Verdict
	// Answer is what the client is told of a stream that was dropped before any of it was forwarded: lower-case field lines, with
	// ":status" first, and a body. Nothing more is asked about it.
	Answer(stream uint32) (lines [][2]string, body []byte)
	// Over says that a stream of which something was forwarded is over: nothing more is asked about it.
	Over(stream uint32)
}

// Client edits what a client sends.
type Client struct {
	judge  Judge
	server *Server

	preface int    // bytes of it that were seen
	part    []byte // what there is of a frame that is read whole
	block   []byte // frames of a header block so far
	first   frame  // of those
	current frame  // the frame whose payload is passing
	left    int    // bytes of that still to come
	begun   bool   // some of it was forwarded
	gone    bool   // nothing of it is

	table    *table
	last     uint32
	open     map[uint32]ends // streams that were forwarded, until both sides have ended them
	strict   bool            // something was dropped: of a stream that is not open, not even what RFC 9113 allows is forwarded
	pinged   map[uint32]bool // dropped ones whose clients have not answered a PING yet, and whether they send no more
	waits    uint32          // the stream whose verdict everything from its beginning on waits for
	queue    []byte          // all that
	swallows int             // bytes of DATA that the server will never count
	out      []byte
}

// NewClient returns an editor for what comes from the first byte of a connection on.
func NewClient(server *Server, judge Judge) *Client {
	c := &Client{judge: judge, server: server, table: newTable(), open: map[uint32]ends{}, pinged: map[uint32]bool{}}
	server.ended = c.ends
	return c
}

// Edit takes what the client has said, about which the verdicts are known, and returns what is forwarded of it, valid until the next call.
func (c *Client) Edit(b []byte) ([]byte, error) {
	c.out = c.out[:0]
	if len(c.queue) > 0 {
		if c.queue = append(c.queue, b...); c.judge.Verdict(c.waits) == flow.Hold {
			return nil, nil
		}
		b, c.queue = c.queue, nil
	}
	for c.waits = 0; len(b) > 0 && c.waits == 0; {
		n, err := c.step(b)
		if err != nil {
			return nil, err
		}
		b = b[n:]
	}
	if c.waits != 0 {
		c.queue = slices.Concat(c.block, b)
		c.block = c.block[:0]
	}
	c.server.credit(c.swallows)
	c.swallows = 0
	return c.out, nil
}

// Held is how many bytes are kept back. What is not a whole header block stays, whatever happens.
func (c *Client) Held() int { return len(c.part) + len(c.block) + len(c.queue) }

// cut ends a stream on both sides, if the server knows it. The client is told why.
func (c *Client) cut(id, why uint32) {
	if c.strict = true; !c.isOpen(id) {
		return
	}
	c.ends(id, byClient|byServer)
	c.out = appendReset(c.out, id, cancel)
	c.server.reset(id, why)
}

// step takes the next piece.
func (c *Client) step(b []byte) (int, error) {
	switch {
	case c.preface < len(preface):
		return c.takePreface(b)
	case c.left > 0:
		return c.pass(b)
	}
	n := min(len(b), max(0, headerSize-len(c.part)))
	if n > 0 {
		c.part = append(c.part, b[:n]...)
		if len(c.part) < headerSize {
			return n, nil
		}
	}
	f := frameOf(c.part)
	if err := c.allowed(f); err != nil {
		return 0, err
	}
	if f.typ == data || f.typ > continuation {
		err := c.begin(f, c.part)
		c.part = c.part[:0]
		return n, err
	}
	m := min(len(b)-n, headerSize+f.length-len(c.part))
	c.part = append(c.part, b[n:n+m]...)
	if len(c.part) < headerSize+f.length {
		return n + m, nil
	}
	err := c.whole(f, c.part)
	c.part = c.part[:0]
	return n + m, err
}

func (c *Client) takePreface(b []byte) (int, error) {
	n := min(len(b), len(preface)-c.preface)
	if string(b[:n]) != preface[c.preface:c.preface+n] {
		return 0, errPreface
	}
	c.preface += n
	c.out = append(c.out, b[:n]...)
	return n, nil
}

// allowed checks what the server would have to end the connection for, and what would take too much memory here.
func (c *Client) allowed(f frame) error {
	inBlock := len(c.block) > 0
	switch {
	case inBlock != (f.typ == continuation), inBlock && f.stream != c.first.stream, f.typ == push,
		(f.typ == headers || f.typ == data) && f.stream%2 == 0, f.typ == window && f.length != 4, f.typ == resetStream && f.length != 4,
		(f.typ == settings || f.typ == ping || f.typ == goAway) && f.stream != 0, (f.typ == resetStream || f.typ == window) && f.stream%2 == 1 && f.stream > c.last,
		f.typ <= continuation && f.typ != data && f.length > maxControl && f.typ != headers && f.typ != continuation:
		return errFrame
	case f.length+len(c.block) > maxBlock && f.typ != data && f.typ <= continuation:
		return errBlock
	case len(c.open)+len(c.pinged) > maxOpen:
		return errTooMany
	}
	return nil
}

// begin takes the header of a frame whose payload passes as it comes, read and as it was sent.
func (c *Client) begin(f frame, sent []byte) error {
	if f.typ == data && f.stream > c.last {
		return errFrame // of a stream that was never opened
	}
	c.current, c.left, c.begun, c.gone = f, f.length, false, c.over(f.stream)
	switch {
	case c.gone && f.typ == data:
		c.cut(f.stream, streamClosed)
	case c.gone: // of an unknown type: whoever reads it ignores it
		c.strict = true
	}
	c.put(sent)
	c.endData()
	return nil
}

// pass takes payload.
func (c *Client) pass(b []byte) (int, error) {
	n := min(len(b), c.left)
	if c.begun && c.drops() {
		return 0, errForwarded
	}
	if c.left -= n; c.put(b[:n]) {
		c.swallows += n
	}
	c.endData()
	return n, nil
}

// drops tells whether nothing of the current frame is forwarded.
func (c *Client) drops() bool {
	return c.gone || c.current.typ == data && c.judge.Verdict(c.current.stream) == flow.Drop
}

func (c *Client) isOpen(id uint32) bool {
	_, ok := c.open[id]
	return ok
}

// over tells whether a client must say no more in a stream than RST_STREAM, WINDOW_UPDATE and PRIORITY (RFC 9113, section 5.1): it has ended
// it, or either side has reset it. What else comes is of no request that was judged.
func (c *Client) over(id uint32) bool {
	return id%2 == 1 && id <= c.last && (!c.isOpen(id) || c.open[id]&byClient != 0)
}

// put forwards or swallows bytes of the current frame, and tells whether flow control counts them although the server never will.
func (c *Client) put(b []byte) (swallowed bool) {
	if c.drops() {
		if !c.gone {
			c.gone = true
			c.cut(c.current.stream, cancel)
		}
		return c.current.typ == data
	}
	c.begun = true
	c.out = append(c.out, b...)
	return false
}

// acknowledged takes a client's answer to a PING, and tells whether that was Vitrine's own, which the server knows nothing of. It shows that
// the client has read what it was told before. Only then it is asked to send no more: some forget the answer of a stream that is reset.
func (c *Client) acknowledged(payload []byte) bool {
	id := binary.BigEndian.Uint32(payload[4:])
	over, ok := c.pinged[id]
	if string(payload[:4]) != pingMark || !ok {
		return false
	}
	if !over {
		c.server.reset(id, noError)
	}
	delete(c.pinged, id)
	return true
}

// endData notes the end of a stream's client's side.
func (c *Client) endData() {
	if c.left == 0 && c.current.typ == data && c.current.has(endStream) {
		c.ends(c.current.stream, byClient)
	}
}

// ends notes that sides send no more of a stream.
func (c *Client) ends(id uint32, by ends) {
	if _, ok := c.pinged[id]; ok && by&byClient != 0 {
		c.pinged[id] = true
	}
	if !c.isOpen(id) {
		return
	}
	if c.open[id] |= by; c.open[id] == byClient|byServer {
		delete(c.open, id)
		c.judge.Over(id)
	}
}

// whole takes a frame that is no DATA.
func (c *Client) whole(f frame, b []byte) error {
	known := !c.strict || c.isOpen(f.stream)
	switch f.typ {
	case headers, continuation:
		return c.piece(f, b)
	case settings:
		c.server.settings(f, b[headerSize:])
	case window:
		if f.stream == 0 {
			c.out = c.server.widen(c.out, b, binary.BigEndian.Uint32(b[headerSize:])&^(1<<31))
			return nil
		}
	case resetStream:
		c.ends(f.stream, byClient|byServer)
	case ping:
		if f.has(ack) && f.length == 8 && c.acknowledged(b[headerSize:]) {
			return nil
		}
	}
	if f.stream == 0 || f.stream%2 == 0 || f.stream <= c.last && known || f.typ == priority {
		c.out = append(c.out, b...)
	}
	return nil
}

// piece takes a part of a header block.
func (c *Client) piece(f frame, b []byte) error {
	if f.typ == headers {
		c.first = f
	}
	c.block = append(c.block, b...)
	if !f.has(endHeaders) {
		return nil
	}
	if id := c.first.stream; id > c.last && c.judge.Verdict(id) == flow.Hold {
		c.waits = id
		return nil
	}
	before, block, ok := unwrap(c.block)
	if !ok {
		return errFrame
	}
	fields, err := c.table.read(block)
	if err != nil {
		return err
	}
	err = c.request(func(b []byte) []byte {
		if !c.table.anew {
			return append(b, c.block...)
		}
		return c.table.write(b, c.first, before, fields)
	})
	c.block = c.block[:0]
	return err
}

// request decides about a header block, which write appends.
func (c *Client) request(write func([]byte) []byte) error {
	id := c.first.stream
	fresh := id > c.last
	c.last = max(c.last, id)
	switch {
	case fresh && id > c.judge.Judged():
		return errUnjudged
	case !fresh && c.over(id): // whatever else it is, the server would not take it
		if c.table.anew = true; c.first.has(endStream) {
			c.ends(id, byClient)
		}
		c.cut(id, streamClosed)
		return nil
	case c.judge.Verdict(id) == flow.Drop:
		c.table.anew = true
		c.refuse(id, fresh)
		return nil
	}
	c.out = write(c.out)
	if fresh {
		c.open[id] = 0
	}
	if c.first.has(endStream) {
		c.ends(id, byClient)
	}
	return nil
}

// refuse drops a stream at a header block.
func (c *Client) refuse(id uint32, fresh bool) {
	if !fresh {
		c.cut(id, cancel)
		return
	}
	c.strict = true
	lines, body := c.judge.Answer(id)
	if c.server.answer(id, lines, body); !c.first.has(endStream) {
		c.pinged[id] = false
		c.server.ping(id)
	}
}

// unwrap takes the frames of a header block apart: what of the first one's payload comes before the block, and the block.
func unwrap(b []byte) (before, block []byte, ok bool) {
	f := frameOf(b)
	payload := b[headerSize : headerSize+f.length]
	rest := b[headerSize+f.length:]
	if f.has(padded) {
		if len(payload) == 0 || int(payload[0]) >= len(payload) {
			return nil, nil, false
		}
		payload = payload[1 : len(payload)-int(payload[0])]
	}
	n := 0
	switch {
	case f.typ == push:
		n = 4 // the promised stream
	case f.has(prioritised):
		n = 5
	}
	if len(payload) < n {
		return nil, nil, false
	}
	before, payload = payload[:n], payload[n:]
	block = slices.Clone(payload)
	for len(rest) > 0 {
		n := frameOf(rest).length
		block = append(block, rest[headerSize:headerSize+n]...)
		rest = rest[headerSize+n:]
	}
	return before, block, true
}
