package reassembly

import (
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// class is the kind of silence that ends a conversation, in the order in which they give way when room is needed.
type class int

const (
	closing     class = iota // over, or as good as
	reset                    // TCP, after a reset that the peer may or may not have obeyed
	opening                  // TCP without a byte of payload: port scans
	datagrams                // UDP
	established              // TCP
	classes
)

func (c *conn) class() class {
	switch {
	case c.closed, c.half[0].done() && c.half[1].done():
		return closing
	case c.reset:
		return reset
	case c.key.proto == flow.UDP:
		return datagrams
	case c.Wire[0].Bytes+c.Wire[1].Bytes == 0:
		return opening
	}
	return established
}

// list is a ring of the conversations of one class, the one silent for longest first.
type list struct {
	root     conn
	patience time.Duration
}

func (l *list) init(patience time.Duration) {
	l.patience = patience
	l.root.prev, l.root.nxt = &l.root, &l.root
}

// first returns the conversation silent for longest, or nil.
func (l *list) first() *conn {
	if l.root.nxt == &l.root {
		return nil
	}
	return l.root.nxt
}

// touch puts c last, whichever list it was in.
func (l *list) touch(c *conn) {
	if c.nxt == &l.root {
		return
	}
	c.unlink()
	c.prev, c.nxt = l.root.prev, &l.root
	c.prev.nxt, l.root.prev = c, c
}

func (c *conn) unlink() {
	if c.nxt != nil {
		c.prev.nxt, c.nxt.prev = c.nxt, c.prev
	}
}
