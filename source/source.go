// Package source holds the contract of the three vantage points: probe, sensor and gateway are siblings that turn what
// they see into plaintext Streams on a Sink. Plaintext, gaps and connections go out; a verdict comes back. A source knows
// nothing of protocols, rules or storage.
package source

import (
	"context"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Source is one vantage point.
type Source interface {
	// Run opens a Stream on sink per connection until ctx is done or the vantage point fails. It closes every Stream
	// before it returns. A source of finite input returns nil at its end.
	Run(ctx context.Context, sink Sink) error
}

// Sink takes the connections of a source. Open may be called from several goroutines at once.
type Sink interface {
	Open(c *flow.Conn) Stream
}

// Stream takes the plaintext of one connection, in order. Its methods are never called concurrently, and none is called
// after Close. For UDP each call of Data is one datagram.
type Stream interface {
	// Data hands over plaintext that was seen at the time. b is valid until Data returns.
	Data(dir flow.Direction, at time.Time, b []byte) flow.Verdict
	// Gap tells of n bytes of plaintext that were never seen; n is 0 where even their number is unknown.
	Gap(dir flow.Direction, at time.Time, n int)
	// Close ends both directions. The facts of the flow.Conn are final.
	Close(at time.Time)
}

// Editor is a Stream that can take a part out of a conversation while the rest goes on. Sources that forward ask for it: then they call
// Edit in place of Data, and forward what it returns. Its bytes in one direction must be written before it is asked again about that
// direction; about the other one it may be asked meanwhile, but by one caller at a time.
type Editor interface {
	Stream
	// Edit takes what was said in a direction. b is nil where nothing new was: it asks for what waits to be forwarded there.
	Edit(dir flow.Direction, at time.Time, b []byte) Edit
	// Release has it let go of what it holds back in a direction: nobody waits for the verdict any longer.
	Release(dir flow.Direction, at time.Time) Edit
}

// Edit is what becomes of what was said in a direction.
type Edit struct {
	Forward []byte // valid until the next call about the direction; b itself where nothing is taken out
	Held    int    // bytes that are held back: what comes next decides
	Waiting bool   // something waits to be forwarded in the other direction
	End     bool   // behind Forward, the whole connection ends in good order
	Drop    bool   // it ends at once
}
