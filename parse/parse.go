// Package parse turns plaintext into transactions. Ordered bytes and honest gaps of one connection go in, event bodies
// come out. A parser is pure: it does no I/O, reads no clock and starts no goroutine; it knows nothing of where its bytes
// come from, nor of who reads its events. Each protocol has a folder of its own.
package parse

import (
	"errors"
	"net/netip"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Parser follows one connection of one protocol.
type Parser interface {
	// Parse consumes a prefix of b and returns its length. What it leaves is offered again, with more behind it. An error
	// means that the parser gave up: only End is called after it. Hostile bytes are an Anomaly; an error is only for
	// bytes after which nothing can be understood any more. b is valid until Parse returns. A parser leaves at most
	// Limits.Header bytes, and looks at no byte more often than a constant number of times, however short the pieces are.
	// For UDP, b is one datagram and what is not consumed of it is gone.
	Parse(dir flow.Direction, b []byte) (n int, err error)
	// Gap tells of n missing bytes (0: unknown) that follow what was offered last; what the parser had left of that is gone too.
	// An error means that it cannot go on.
	Gap(dir flow.Direction, n int) error
	// End closes both directions: whatever is open is emitted as it is, whatever is held is let go. It is called exactly
	// once, also after an error, a Become or a panic.
	End()
}

// Match is the answer of a Probe.
type Match int

const (
	No    Match = iota // it is something else, whatever follows
	Maybe              // more bytes are needed
	Yes
)

// MaxProbe is how many bytes of a direction a Probe is offered at the most; a Maybe after that counts as a No.
const MaxProbe = 4096

// Protocol is how a protocol is recognised and parsed.
type Protocol struct {
	Name  string     // as events and the search language spell it
	Proto flow.Proto // the transport that carries it; zero: any stream
	// Probe looks at the first bytes of one direction. It is called anew with a longer prefix after a Maybe.
	Probe func(dir flow.Direction, b []byte) Match
	New   func(out Output) Parser
	// Requests says that the parser tells Output.Judge of requests.
	Requests bool
}

// Output is where a parser's results go. All functions are set and must be called from within the parser's methods only.
type Output struct {
	// Emit hands over a finished transaction; the parser no longer touches it.
	Emit func(body event.Body)
	// Anomaly tells of protocol misbehaviour by a stable code in snake_case, such as "http1_bad_chunk_size".
	Anomaly func(code string)
	// Become ends this parser after the current call: the bytes that follow, of both directions, are parsed as the named protocol,
	// or recognised anew if the name is empty. So are the bytes that this parser left. The Upgrade goes to the next
	// parser's Output; it may be nil.
	Become func(name string, upgrade *Upgrade)
	// Expect announces a connection that one of the hosts is about to open: it is parsed as the named protocol, and the Upgrade goes to
	// that parser's Output. It takes the place of what this connection has announced before, unless that was opened.
	Expect func(at Listener, name string, upgrade *Upgrade)
	// Upgrade is what the protocol before this one agreed on, or the connection that announced this one; nil if there is neither.
	Upgrade *Upgrade
	// Seen is the time at which the bytes of the current call were seen: the parser's only notion of time.
	Seen func() time.Time
	// Exhausted reports that the time allowed for the current call is used up: decompression stops there.
	Exhausted func() bool
	// Limits bound what a parser keeps.
	Limits Limits
	// Judge is told of requests while they can still be kept from the server. Nil: nobody judges. Protocol.Requests says who tells it.
	Judge Judge
	// Line is told of each field line in a server's heads in HTTP/1, end included, as soon as it is whole, and of how many of the bytes of
	// Parse begin with it; it is valid until Line returns. Nil: nobody wants to know.
	Line func(line []byte, last int)
	// Memory is what the parser takes bytes from that it holds between calls beyond what Limits.Header allows; package content
	// does so for bodies. All of it is given back at the end of End. Nil: without a bound.
	Memory *Memory
}

// Upgrade is what one protocol tells the next: an HTTP request the protocol that follows in the same connection, an announcement
// that of another connection.
type Upgrade struct {
	Host     string   // as in event.HTTP
	URL      string   // as in event.HTTP
	Response []string // header lines of the answer, as in event.Message

	Conn   flow.ID `json:",omitzero"`  // the connection that announced this one; set by who carries out Expect
	Detail any     `json:",omitempty"` // for protocols that know each other. Its parser may still be changing it in another goroutine
}

// Judge is told of requests before they are answered. Its methods are called from within the parser's methods only.
type Judge interface {
	// Begin tells that the head of a request is complete; nothing of its body was seen. The body is the one that Emit hands over in the
	// end, with what is known so far: the parser goes on filling it in once the call has returned.
	Begin(body event.Body)
	// Asked tells, once for each Begin, that what a request is judged by was seen: all of it, or the first JudgedBody bytes of its body.
	Asked(body event.Body)
	// Doubt tells, beside Anomaly, that the client's bytes mean one thing to one reader and another to the next: where one finds the
	// end of a request, the other may not. The body is that of the request, nil where its head is not known yet.
	Doubt(body event.Body, code string)
	// Dropped tells whether a request was dropped: its client is answered, or the stream ends, and what it still says of it goes nowhere.
	Dropped(body event.Body) bool
}

// JudgedBody is how much of a request's body is judged before the request is answered. It is less than the smallest window that
// HTTP/2 begins with, 65,535, so that a client can send that much to who has not read any of it.
const JudgedBody = 32 << 10

// Judged is a Parser that tells a Judge of requests which follow one another in the client's bytes.
type Judged interface {
	Parser
	// Tail tells, of the client's bytes that were offered so far, how many at their end belong to the request that is being read, and how
	// many to one that Begin has not told of.
	Tail() (request, unjudged int)
}

// Listener is where a connection is expected.
type Listener struct {
	Side    flow.Direction // the way to who listens: ToServer for the server of the connection that announces it
	Address netip.Addr     // as announced; the zero Addr is that side's own. Behind address translation it may be another than is seen
	Port    uint16
}

// Limits bound what a parser keeps and how far it decompresses.
type Limits struct {
	Body         int   // bytes of a body that an event keeps, per direction
	Header       int   // bytes of one header block, line or message before it is given up as an anomaly
	Hashed       int64 // bytes of a body up to which it has a hash, 0: none has; a hash costs more than all else that is done with a long body here
	Decompressed int64 // bytes that one body may decompress to
	Ratio        int64 // decompressed bytes per compressed byte, once more than 1 MiB came out
	Open         int   // transactions, streams or queries that may be open in one connection
}

// DefaultLimits are what design and memory budget allow.
var DefaultLimits = Limits{Body: 64 << 10, Header: 256 << 10, Hashed: 4 << 30, Decompressed: 512 << 20, Ratio: 1000, Open: 1024}

// ErrGiveUp is what a parser returns when nothing that follows can be understood.
var ErrGiveUp = errors.New("protocol can no longer be followed")
