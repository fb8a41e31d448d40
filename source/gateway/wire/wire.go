// Package wire is the TCP connection of one side of what the gateway relays. Bytes come out of it as they came in, with three things that a
// net.Conn lacks: one can wait for a whole TLS record without a buffer and with little on the stack, put back what was read, and have
// what is written gathered. So a connection that is idle takes little memory, and one that is busy few system calls.
package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
)

// Conn is a net.Conn. One goroutine at a time reads (Wait, Read, Peek, Unread); others may write meanwhile.
type Conn struct {
	*net.TCPConn
	socket  syscall.RawConn
	receive func(fd uintptr) bool // method receiveFrom, made once

	ahead []byte // was read and is to be handed out: part of block, of part, or of what was put back
	block *block // nil while there is nothing to keep
	part  *part  // likewise: the beginning of a record whose rest is waited for
	err   error  // comes behind ahead
	last  [lastLen]byte

	records bool // hand out one TLS record at a time
	left    int  // of that which is being handed out
	dry     bool // Read does not wait

	in, out atomic.Uint64

	mu    sync.Mutex // guards what follows, and the order of what is written
	corks int        // calls of Cork less those of Uncork
	kept  *block     // nil while nothing is gathered
	keeps int        // bytes in it
}

// New returns the connection, with bytes in front that were read from it before.
func New(c *net.TCPConn, ahead []byte) (*Conn, error) {
	socket, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &Conn{TCPConn: c, socket: socket, ahead: ahead}
	w.receive = w.receiveFrom
	w.in.Add(uint64(len(ahead)))
	return w, nil
}

const (
	// maxRecord is the length in bytes of the longest TLS record with its header (RFC 5246 §6.2.3).
	maxRecord = handshake.HeaderLen + 1<<14 + 2048
	// blockLen has room for Chunk bytes of plaintext in TLS records of the usual length.
	blockLen = Chunk + 8<<10
	// lastLen is the length of a TLS record with an alert that is not encrypted.
	lastLen = handshake.HeaderLen + 2
)

// Chunk is how much plaintext is worth to be read and written at once, in bytes: four TLS records.
const Chunk = 64 << 10

type (
	block = [blockLen]byte
	part  = [maxRecord]byte
)

var (
	blocks = sync.Pool{New: func() any { return new(block) }}
	parts  = sync.Pool{New: func() any { return new(part) }}
)

// Wait returns nil once there is something to read, which may be an error: in TLS, a whole record. Else it returns why it waits no longer,
// for example os.ErrDeadlineExceeded.
func (c *Conn) Wait() error {
	for !c.ready() {
		if err := c.socket.Read(c.receive); err != nil {
			return err
		}
	}
	return nil
}

// Poll is Wait that does not wait: where there is nothing to read, IsDry is true of what it returns.
func (c *Conn) Poll() error {
	if !c.ready() {
		err := c.socket.Read(func(fd uintptr) bool {
			c.receiveFrom(fd)
			return true
		})
		if err != nil {
			return err
		}
	}
	if !c.ready() {
		return errDry
	}
	return nil
}

func (c *Conn) ready() bool {
	switch {
	case c.err != nil || len(c.ahead) > 0 && (!c.records || c.left > 0):
		return true
	case len(c.ahead) < handshake.HeaderLen:
		return false
	}
	length, version := recordLen(c.ahead), c.ahead[1]
	return len(c.ahead) >= length || length > maxRecord || version != 3 // who reads will refuse it
}

// recordLen is the length of the record that begins with b, in bytes, header included.
func recordLen(b []byte) int { return handshake.HeaderLen + int(b[3])<<8 + int(b[4]) }

// receiveFrom reads what has come, without waiting, and tells whether there was something.
func (c *Conn) receiveFrom(fd uintptr) bool {
	if c.block == nil {
		c.block = blocks.Get().(*block)
	}
	have := copy(c.block[:], c.ahead)
	c.ahead = c.block[:have]
	c.freePart()
	n, err := read(int(fd), c.block[have:])
	switch {
	case err == syscall.EAGAIN:
		c.park()
		return false
	case err != nil:
		c.err = &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", err)}
	case n == 0:
		c.err = io.EOF
	}
	n = max(n, 0)
	c.in.Add(uint64(n))
	c.ahead = c.block[:have+n]
	if n >= lastLen {
		copy(c.last[:], c.ahead[have+n-lastLen:])
	}
	return true
}

func read(fd int, b []byte) (n int, err error) {
	for {
		if n, err = syscall.Read(fd, b); err != syscall.EINTR {
			return n, err
		}
	}
}

// park gives the block back while nothing comes.
func (c *Conn) park() {
	if len(c.ahead) > 0 {
		c.part = parts.Get().(*part)
		c.ahead = c.part[:copy(c.part[:], c.ahead)]
	} else {
		c.ahead = nil
	}
	c.freeBlock()
}

func (c *Conn) freeBlock() {
	if c.block != nil {
		blocks.Put(c.block)
		c.block = nil
	}
}

func (c *Conn) freePart() {
	if c.part != nil {
		parts.Put(c.part)
		c.part = nil
	}
}

// Read reads what there is, in TLS of one record at most. It sends what was gathered and waits for it, unless Dry was called.
func (c *Conn) Read(b []byte) (int, error) {
	switch {
	case c.ready():
	case c.dry:
		return 0, errDry
	default:
		if err := c.sendKept(); err != nil {
			return 0, err
		}
		if err := c.Wait(); err != nil {
			return 0, err
		}
	}
	if len(c.ahead) == 0 {
		return 0, c.err
	}
	n := copy(b, c.ahead[:c.handOut(len(b))])
	if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
		c.Discard()
	}
	return n, nil
}

// handOut tells how much of what is there may be read at once into n bytes, and counts it as read.
func (c *Conn) handOut(n int) int {
	n = min(n, len(c.ahead))
	if !c.records {
		return n
	}
	if c.left == 0 {
		c.left = len(c.ahead)
		if c.left >= handshake.HeaderLen {
			c.left = min(c.left, recordLen(c.ahead))
		}
	}
	n = min(n, c.left)
	c.left -= n
	return n
}

// errDry says that there is nothing to read at the moment. crypto/tls reads on after it, since it is a net.Error that is temporary.
var errDry net.Error = dry{}

type dry struct{}

func (dry) Error() string   { return "nothing has come" }
func (dry) Timeout() bool   { return false }
func (dry) Temporary() bool { return true }

// IsDry tells whether nothing has failed: there was just no more to read.
func IsDry(err error) bool { return err == errDry }

// Dry has Read no longer wait, or wait again: what there is to be read, Wait says.
func (c *Conn) Dry(on bool) { c.dry = on }

// TLS has records handed out one at a time from here on. Nothing of the first may have been read.
func (c *Conn) TLS() { c.records = true }

// Peek returns what is there. It is valid until the next call of Wait or Read.
func (c *Conn) Peek() []byte { return c.ahead }

// Discard drops what is there.
func (c *Conn) Discard() {
	c.ahead = nil
	c.freeBlock()
	c.freePart()
}

// Unread puts back what was read before. It is the Conn's from then on.
func (c *Conn) Unread(b []byte) {
	if len(c.ahead) > 0 {
		b = append(b[:len(b):len(b)], c.ahead...)
	}
	c.Discard()
	c.ahead = b
}

// Ended tells whether the peer has sent a FIN, and all before it was read.
func (c *Conn) Ended() bool { return c.err == io.EOF && len(c.ahead) == 0 }

// OpenAlert returns the alert that the peer has sent last, if that was not encrypted. OpenSSL's clients send it so in TLS 1.3, which crypto/tls
// cannot read any more at that point.
func (c *Conn) OpenAlert() (code byte, ok bool) {
	const fatal = 2
	l := c.last
	return l[6], l[0] == byte(handshake.Alert) && l[1] == 3 && l[3] == 0 && l[4] == 2 && l[5] == fatal
}

// In is how many bytes have come, and Out how many were sent.
func (c *Conn) In() uint64  { return c.in.Load() }
func (c *Conn) Out() uint64 { return c.out.Load() }

// Write writes b, or, after Cork, keeps it until Uncork, until Read waits, or until there is too much of it.
func (c *Conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.corks == 0 {
		return c.send(b)
	}
	if c.keeps+len(b) > blockLen {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(b) > blockLen {
		return c.send(b)
	}
	if c.kept == nil {
		c.kept = blocks.Get().(*block)
	}
	c.keeps += copy(c.kept[c.keeps:], b)
	return len(b), nil
}

func (c *Conn) send(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	c.out.Add(uint64(n))
	return n, err
}

// Cork has what is written gathered, until Uncork was called as often.
func (c *Conn) Cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corks++
}

// Uncork sends what was gathered, unless somebody else gathers more.
func (c *Conn) Uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.corks--; c.corks > 0 {
		return nil
	}
	return c.flush()
}

// CloseWrite sends what was gathered, and ends this side's direction.
func (c *Conn) CloseWrite() error {
	return errors.Join(c.sendKept(), c.TCPConn.CloseWrite())
}

// SetWriteDeadline sends what was gathered first, if nothing can be sent from then on: so crypto/tls ends a direction, behind its last alert.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() && !t.After(time.Now()) {
		_ = c.sendKept() // who goes on to send is told why that fails
	}
	return c.TCPConn.SetWriteDeadline(t)
}

// sendKept sends what was gathered so far.
func (c *Conn) sendKept() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flush()
}

// flush is sendKept with mu held.
func (c *Conn) flush() error {
	if c.kept == nil {
		return nil
	}
	_, err := c.send(c.kept[:c.keeps])
	blocks.Put(c.kept)
	c.kept, c.keeps = nil, 0
	return err
}

// Reset ends the connection so that the peer does not take it for a regular end.
func (c *Conn) Reset() { Reset(c.TCPConn) }

// Reset is Conn.Reset.
func Reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	c.Close()
}
