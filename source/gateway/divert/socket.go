package divert

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen returns listeners for diverted connections of IPv4 and, where there is that, of IPv6. The local address of what they
// accept is where the client wanted to go.
func Listen(ctx context.Context, port uint16) ([]net.Listener, error) {
	lc := net.ListenConfig{Control: func(network, _ string, c syscall.RawConn) error { return Transparent(network, c) }}
	four, err := lc.Listen(ctx, "tcp4", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		return nil, err
	}
	six, err := lc.Listen(ctx, "tcp6", fmt.Sprintf("[::]:%d", port))
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		return []net.Listener{four}, nil
	}
	if err != nil {
		four.Close()
		return nil, err
	}
	return []net.Listener{four, six}, nil
}

// Transparent lets a socket have an address that is not this machine's. It is for the Control of a net.Dialer or net.ListenConfig.
func Transparent(network string, c syscall.RawConn) error {
	level, option := unix.SOL_IP, unix.IP_TRANSPARENT
	if strings.HasSuffix(network, "6") {
		level, option = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	var err error
	if outer := c.Control(func(fd uintptr) {
		err = errors.Join(
			unix.SetsockoptInt(int(fd), level, option, 1),
			unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1), // so that ports are shared by destinations
		)
	}); outer != nil {
		return outer
	}
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("make socket transparent: %w: this needs root, or CAP_NET_ADMIN", err)
	}
	if err != nil {
		return fmt.Errorf("make socket transparent: %w", err)
	}
	return nil
}
