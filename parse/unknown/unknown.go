// Package unknown takes the streams that no protocol recognises. Bytes go in; at the end one event.Unknown comes out, with
// how many there were and the first of each direction. It is never found by its Probe: package inspect falls back to it.
package unknown

import (
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// kept is how many bytes of each direction the event has.
const kept = 256

// Protocol is what is left.
var Protocol = parse.Protocol{
	Name:  "unknown",
	Probe: func(flow.Direction, []byte) parse.Match { return parse.No },
	New:   func(out parse.Output) parse.Parser { return &parser{out: out} },
}

type parser struct {
	out  parse.Output
	half [2]half
}

type half struct {
	bytes uint64
	first []byte
	gap   bool
}

func (p *parser) Parse(dir flow.Direction, b []byte) (int, error) {
	h := &p.half[dir]
	h.bytes += uint64(len(b))
	if room := kept - len(h.first); room > 0 && !h.gap {
		h.first = append(h.first, b[:min(room, len(b))]...)
	}
	return len(b), nil
}

// Gap ends what is kept: the first bytes are without a hole.
func (p *parser) Gap(dir flow.Direction, _ int) error {
	p.half[dir].gap = true
	return nil
}

func (p *parser) End() {
	client, server := &p.half[flow.ToServer], &p.half[flow.ToClient]
	if client.bytes+server.bytes == 0 {
		return
	}
	p.out.Emit(&event.Unknown{
		BytesToServer: client.bytes, BytesToClient: server.bytes,
		ToServer: client.first, ToClient: server.first,
	})
}
