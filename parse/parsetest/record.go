package parsetest

import (
	"bytes"
	"net"
	"sync"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Recorder keeps what real peers say to each other, to be replayed afterwards. Its methods may be called concurrently.
type Recorder struct {
	mu            sync.Mutex
	conversations [][]Step
}

// Conn returns the client's side of a connection, recorded from now on.
func (r *Recorder) Conn(c net.Conn) net.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conversations = append(r.conversations, nil)
	return &recorded{c, r, len(r.conversations) - 1}
}

// Conversations returns the segments of each connection, in the order in which the client sent or received them.
func (r *Recorder) Conversations() [][]Step {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]Step(nil), r.conversations...)
}

func (r *Recorder) add(i int, dir flow.Direction, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	steps := &r.conversations[i]
	*steps = append(*steps, Step{Dir: dir, Data: bytes.Clone(b), At: len(*steps)})
}

type recorded struct {
	net.Conn
	recorder *Recorder
	i        int
}

// Write records before it sends: the answer cannot come first.
func (c *recorded) Write(b []byte) (int, error) {
	c.recorder.add(c.i, flow.ToServer, b)
	return c.Conn.Write(b)
}

func (c *recorded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.recorder.add(c.i, flow.ToClient, b[:n])
	}
	return n, err
}
