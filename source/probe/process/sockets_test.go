package process

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func endpoint(a net.Addr) flow.Endpoint {
	ap := netip.MustParseAddrPort(a.String())
	return flow.Endpoint{IP: ap.Addr().Unmap(), Port: ap.Port()}
}

// descriptor returns the number of a connection's socket.
func descriptor(t *testing.T, c syscall.Conn) (number int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { number = int(fd) }); err != nil {
		t.Fatal(err)
	}
	return number
}

func TestSocket(t *testing.T) {
	for name, address := range map[string]struct{ listen, dial string }{
		"IPv4":                    {"127.0.0.1:0", "127.0.0.1"},
		"IPv6":                    {"[::1]:0", "::1"},
		"IPv4 at an IPv6 socket":  {"[::]:0", "127.0.0.1"},
		"an address of many bits": {"127.254.3.129:0", "127.254.3.129"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", address.listen)
			if err != nil {
				testkit.SkipIfNotSupported(t, err)
				t.Fatal(err)
			}
			defer l.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			client, err := net.Dial("tcp", net.JoinHostPort(address.dial, port))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			table := New("/proc")
			for _, c := range []net.Conn{client, server} {
				want := Socket{Local: endpoint(c.LocalAddr()), Remote: endpoint(c.RemoteAddr())}
				if got, err := table.Socket(os.Getpid(), descriptor(t, c.(*net.TCPConn))); err != nil || got != want {
					t.Errorf("got %v, %v, want %v", got, err, want)
				}
			}
			ports, err := table.Listening(os.Getpid())
			if err != nil || !ports.Has(endpoint(server.LocalAddr()).Port) || ports.Has(endpoint(client.LocalAddr()).Port) {
				t.Errorf("listening: %v, %v", ports, err)
			}
		})
	}
}

func TestSocketThatIsNone(t *testing.T) {
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for name, fd := range map[string]int{"file": int(file.Fd()), "UDP": descriptor(t, udp), "not open": 1 << 30} {
		if s, err := New("/proc").Socket(os.Getpid(), fd); !errors.Is(err, ErrNoSocket) {
			t.Errorf("%s: got %v, %v", name, s, err)
		}
	}
}

// TestListening begins and ends to listen while the answers of before are remembered.
func TestListening(t *testing.T) {
	table := New("/proc")
	ports, err := table.Listening(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	listen := func() (net.Listener, uint16) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l, endpoint(l.Addr()).Port
	}
	l, first := listen()
	if !ports.Has(first) {
		t.Error("a port that is listened at is not known")
	}
	l.Close()
	if !ports.Has(first) {
		t.Error("the port was looked for again at once")
	}
	l, second := listen()
	defer l.Close()
	if ports.Has(second) {
		t.Error("a port that was not listened at was looked for again at once")
	}
	forget(table, listensYet)
	if !ports.Has(second) || ports.Has(first) {
		t.Error("a second later, it is not looked for again")
	}
	l.Close()
	forget(table, listensStill)
	if ports.Has(second) {
		t.Error("a minute later, it is not looked for again")
	}
}

// forget makes what is remembered older.
func forget(table *Table, by time.Duration) {
	for ns, l := range table.listeners.lists {
		table.listeners.put(ns, listeners{l.ports, l.at.Add(-by)})
	}
}
