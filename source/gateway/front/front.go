// Package front holds what clients talk to before their own bytes begin: HTTP CONNECT, SOCKS5, or, transparently, nobody. A connection that was accepted
// goes in; where its client wants to go comes out, with the connection at the first byte behind the request. It knows nothing of TLS
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
	Conn net.Conn // begins behind the request
	Host string   // a name or an address, as the client has written it
	Port uint16
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

// prefixed is a connection of which something was read ahead.
type prefixed struct {
	net.Conn
	ahead []byte
}

// Prefixed returns the connection with bytes in front that were read from it before.
func Prefixed(c net.Conn, ahead []byte) net.Conn {
	if len(ahead) == 0 {
		return c
	}
	return &prefixed{c, ahead}
}

// Read reads what was read ahead, then the rest.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.ahead) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.ahead)
	if p.ahead = p.ahead[n:]; len(p.ahead) == 0 {
		p.ahead = nil
	}
	return n, nil
}
