// Package front holds what clients talk to before their own bytes begin: HTTP CONNECT, SOCKS5, or, transparently, nobody. A connection that was accepted
// goes in; where its client wants to go comes out, with what was read behind the request. It knows nothing of TLS
// or policies, and connects to nobody.
package front

import (
	"net"
	"net/netip"
)

// Front finds out where the client of a connection wants to go. The caller sets a deadline before, and closes the connection after
// an error, which the client has been told.
type Front func(c net.Conn) (*Request, error)

// Request is what a client wants.
type Request struct {
	Host string // a name or an address, as the client has written it
	Port uint16
	// Ahead was read of the connection behind the request.
	Ahead []byte
	// Diverted says that the client knows of no gateway: Host is the address that its packets went to.
	Diverted bool
	// Source is whom the origin is to see. Invalid: this machine.
	Source netip.Addr
	// Answer tells the client what came of it. It is called once.
	Answer func(Outcome) error
}

// Outcome is what came of a request.
type Outcome uint8

const (
	Connected   Outcome = iota
	Forbidden           // by policy
	NoHost              // there is none of that name
	Unreachable         // it does not answer
)
