package front

import (
	"errors"
	"net"
	"net/netip"
)

// Transparent returns the front end for connections that the kernel has diverted: their clients say nothing to it. The origin sees
// the address of the client, or, without keepSource, that of this machine.
func Transparent(keepSource bool) Front {
	return func(c net.Conn) (*Request, error) {
		local, ok1 := c.LocalAddr().(*net.TCPAddr)
		remote, ok2 := c.RemoteAddr().(*net.TCPAddr)
		if !ok1 || !ok2 {
			return nil, errors.New("read diverted connection: not TCP")
		}
		r := &Request{Diverted: true, Host: plain(local).String(), Port: uint16(local.Port), Answer: func(o Outcome) error {
			if tcp, ok := c.(*net.TCPConn); ok && o != Connected {
				return tcp.SetLinger(0) // so that the client sees its connection refused
			}
			return nil
		}}
		if keepSource {
			r.Source = plain(remote)
		}
		return r, nil
	}
}

func plain(a *net.TCPAddr) netip.Addr { return a.AddrPort().Addr().Unmap() }
