package front

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// What SOCKS5 says in single bytes (RFC 1928, RFC 1929).
const (
	socksVersion       = 5
	methodNone         = 0
	methodPassword     = 2
	methodUnacceptable = 0xff
	passwordVersion    = 1
	commandConnect     = 1
	addressIPv4        = 1
	addressName        = 3
	addressIPv6        = 4

	replyCommandUnsupported = 7
	replyAddressUnsupported = 8
)

var socksReplies = [...]byte{Connected: 0, Forbidden: 2, NoHost: 4, Unreachable: 5}

// SOCKS5 returns the front end of a SOCKS proxy that knows the command CONNECT alone. With users, clients need the name and
// password of one.
func SOCKS5(users *Users) Front {
	return func(c net.Conn) (*Request, error) {
		s := socks{c: c}
		s.greet(users)
		req := s.request()
		if s.err != nil {
			return nil, fmt.Errorf("read SOCKS request: %w", s.err)
		}
		return req, nil
	}
}

// socks reads and writes the fields of a handshake until the first error, which is kept. Nothing is read ahead.
type socks struct {
	c   net.Conn
	err error
}

func (s *socks) take(n int) []byte {
	b := make([]byte, n)
	if s.err == nil {
		_, s.err = io.ReadFull(s.c, b)
	}
	return b
}

// text takes a string behind its length.
func (s *socks) text() string { return string(s.take(int(s.take(1)[0]))) }

func (s *socks) say(b ...byte) {
	if s.err == nil {
		_, s.err = s.c.Write(b)
	}
}

func (s *socks) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// greet agrees on a method of authentication, and carries it out.
func (s *socks) greet(users *Users) {
	head := s.take(2)
	if s.err == nil && head[0] != socksVersion {
		s.fail(errors.New("not version 5"))
		return
	}
	want := byte(methodNone)
	if users != nil {
		want = methodPassword
	}
	offered := false
	for _, m := range s.take(int(head[1])) {
		offered = offered || m == want
	}
	if !offered {
		s.say(socksVersion, methodUnacceptable)
		s.fail(ErrAuthentication)
		return
	}
	s.say(socksVersion, want)
	if want == methodPassword {
		s.authenticate(users)
	}
}

func (s *socks) authenticate(users *Users) {
	version := s.take(1)[0]
	name, password := s.text(), s.text()
	if s.err != nil {
		return
	}
	err := ErrAuthentication
	if version == passwordVersion {
		err = users.check(name, password)
	}
	if err != nil {
		s.say(passwordVersion, 1)
		s.fail(err)
		return
	}
	s.say(passwordVersion, 0)
}

func (s *socks) request() *Request {
	head := s.take(4)
	host, ok := s.address(head[3])
	port := binary.BigEndian.Uint16(s.take(2))
	switch {
	case s.err != nil:
	case head[0] != socksVersion || head[1] != commandConnect:
		s.reply(replyCommandUnsupported)
		s.fail(errors.New("a command other than CONNECT"))
	case !ok || host == "" || port == 0:
		s.reply(replyAddressUnsupported)
		s.fail(errors.New("no address"))
	}
	return &Request{Host: host, Port: port, Answer: func(o Outcome) error {
		s.reply(socksReplies[o])
		return s.err
	}}
}

// address takes an address of the type.
func (s *socks) address(kind byte) (host string, ok bool) {
	switch kind {
	case addressIPv4:
		return netip.AddrFrom4([4]byte(s.take(4))).String(), true
	case addressIPv6:
		return netip.AddrFrom16([16]byte(s.take(16))).String(), true
	case addressName:
		return s.text(), true
	}
	return "", false
}

// reply answers a request. The address that the gateway is bound to is no business of the client.
func (s *socks) reply(code byte) { s.say(socksVersion, code, 0, addressIPv4, 0, 0, 0, 0, 0, 0) }
