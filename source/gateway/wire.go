package gateway

import (
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
)

// wire is the TCP connection of one side.
type wire struct {
	net.Conn          // for a client: begins behind what it has said to the front end
	raw      net.Conn // as it was accepted or dialled
	in, out  atomic.Uint64
	ended    atomic.Bool // the peer has sent a FIN, and all before it was read
	last     [7]byte     // that were read together: for who reads
}

// Read counts what it reads.
func (c *wire) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.in.Add(uint64(n))
	if n >= len(c.last) {
		copy(c.last[:], b[n-len(c.last):])
	}
	if errors.Is(err, io.EOF) {
		c.ended.Store(true)
	}
	return n, err
}

// openAlert returns the alert that the peer has sent last, if that was not encrypted. OpenSSL's clients send it so in TLS 1.3, which crypto/tls
// cannot read any more at that point.
func (c *wire) openAlert() (code byte, ok bool) {
	l := c.last
	return l[6], l[0] == byte(handshake.Alert) && l[1] == 3 && l[3] == 0 && l[4] == 2 && l[5] == fatal
}

// fatal is the level of an alert that ends a connection.
const fatal = 2

// Write counts what it writes.
func (c *wire) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.out.Add(uint64(n))
	return n, err
}

// CloseWrite tells the peer that no more will come.
func (c *wire) CloseWrite() error { return closeWrite(c.raw) }

// reset ends the connection so that the peer does not take it for a regular end.
func (c *wire) reset() { reset(c.raw) }

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}
