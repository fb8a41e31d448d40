package process

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

const (
	// maxSocketTable bounds how much of /proc/PID/net/tcp is read: a row has 150 bytes, so that is some 400,000 sockets.
	maxSocketTable, socketChunk = 64 << 20, 64 << 10
	// socketRowSize is the length of a row (TMPSZ in net/ipv4/tcp_ipv4.c); in the IPv6 table rows are longer.
	socketRowSize = 150
	// listensYet is how old a list of listeners may be that lacks a port, listensStill one that has it.
	listensYet, listensStill = time.Second, time.Minute
	// maxNamespaces bounds the lists of listeners that are kept.
	maxNamespaces = 1024
)

// ErrNoSocket tells that a file descriptor is no TCP socket that its network namespace knows.
var ErrNoSocket = errors.New("not a TCP socket")

// Socket is a TCP socket of a process. A listening one has no remote port.
type Socket struct {
	Local, Remote flow.Endpoint
}

// Ports are the TCP ports at which anything listens in one network namespace.
type Ports struct {
	table     *Table
	pid       int
	namespace uint64 // 0 where that may not be known
}

// listenerCache keeps the listening ports of network namespaces.
type listenerCache struct {
	mu    sync.Mutex
	lists map[uint64]listeners
}

type listeners struct {
	ports map[uint16]struct{} // does not change
	at    time.Time
}

// Listening returns the listening ports of the network namespace that a process is in: the local side of a connection is its server
// iff its port is one of them.
func (t *Table) Listening(pid int) (Ports, error) {
	dir, err := os.OpenRoot(t.path(pid))
	if err != nil {
		return Ports{}, fmt.Errorf("list listening ports of process %d: %w", pid, plain(err))
	}
	defer dir.Close()
	return Ports{t, pid, namespace(dir, "net")}, nil
}

// Has tells whether anything listens at a port. What listened a minute ago is taken to do so still; what did not is looked for again,
// but once a second at most: the kernel walks all connections of the machine for it, if there are few in the namespace.
func (p Ports) Has(port uint16) bool {
	known := p.table.listeners.get(p.namespace)
	_, ok := known.ports[port]
	if age := time.Since(known.at); age < listensYet || ok && age < listensStill {
		return ok
	}
	ports, err := p.table.listening(p.pid)
	if err != nil {
		return false // it has ended
	}
	p.table.listeners.put(p.namespace, listeners{ports, time.Now()})
	_, ok = ports[port]
	return ok
}

func (t *Table) listening(pid int) (map[uint16]struct{}, error) {
	dir, err := os.OpenRoot(t.path(pid))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	ports := map[uint16]struct{}{}
	for _, table := range tcpTables {
		// Listeners come first (tcp_seq_start in net/ipv4/tcp_ipv4.c). The rest, of any length, is not even made if it is not read.
		err := scanSockets(dir, table, socketRowSize, func(s socketRow) bool {
			if s.state == tcpListen {
				ports[s.Local.Port] = struct{}{}
			}
			return s.state == tcpListen
		})
		if err != nil {
			return nil, err
		}
	}
	return ports, nil
}

// get returns the list of a namespace, or one as old as can be.
func (c *listenerCache) get(namespace uint64) listeners {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lists[namespace]
}

func (c *listenerCache) put(namespace uint64, l listeners) {
	if namespace == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists == nil || len(c.lists) >= maxNamespaces {
		c.lists = map[uint64]listeners{}
	}
	c.lists[namespace] = l
}

// Socket returns the addresses of an open TCP socket. Its time grows with the number of sockets in the network namespace. The error
// wraps ErrNoSocket if the descriptor is none.
func (t *Table) Socket(pid, fd int) (Socket, error) {
	s, err := t.socket(pid, fd)
	if err != nil {
		return Socket{}, fmt.Errorf("find socket %d of process %d: %w", fd, pid, err)
	}
	return s, nil
}

func (t *Table) socket(pid, fd int) (found Socket, err error) {
	dir, err := os.OpenRoot(t.path(pid))
	if err != nil {
		return found, plain(err)
	}
	defer dir.Close()
	link, err := dir.Readlink("fd/" + strconv.Itoa(fd))
	if errors.Is(err, fs.ErrNotExist) {
		return found, ErrNoSocket
	}
	if err != nil {
		return found, plain(err)
	}
	number, ok := strings.CutPrefix(link, "socket:[")
	inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	if !ok || err != nil {
		return found, ErrNoSocket
	}
	err = ErrNoSocket
	for _, table := range tcpTables {
		failed := scanSockets(dir, table, socketChunk, func(s socketRow) bool {
			if s.inode == inode {
				found, err = s.Socket, nil
			}
			return err != nil
		})
		if failed != nil {
			return found, plain(failed)
		}
	}
	return found, err
}

// tcpTables are the files of a process's network namespace. The second is missing where IPv6 is off.
var tcpTables = [...]string{"net/tcp", "net/tcp6"}

// tcpListen is TCP_LISTEN of include/net/tcp_states.h.
const tcpListen = 10

// socketRow is one line of such a file.
type socketRow struct {
	Socket
	state uint64
	inode uint64
}

// scanSockets calls each for every row until it returns false, and reads chunk bytes at a time.
func scanSockets(dir *os.Root, table string, chunk int, each func(socketRow) bool) error {
	f, err := dir.Open(table)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return parseSockets(io.LimitReader(f, maxSocketTable), make([]byte, chunk), each)
}

// parseSockets reads /proc/net/tcp or tcp6 (proc_net(5)); the first line is a heading, and what is no row is passed over. No
// more than fits into buf is read at a time.
func parseSockets(r io.Reader, buf []byte, each func(socketRow) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(buf, bufio.MaxScanTokenSize)
	for lines.Scan() {
		if row, ok := parseSocket(lines.Text()); ok && !each(row) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read table of sockets: %w", err)
	}
	return nil
}

func parseSocket(line string) (row socketRow, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 {
		return row, false
	}
	local, ok1 := parseEndpoint(fields[1])
	remote, ok2 := parseEndpoint(fields[2])
	state, err1 := strconv.ParseUint(fields[3], 16, 8)
	inode, err2 := strconv.ParseUint(fields[9], 10, 64)
	return socketRow{Socket{local, remote}, state, inode}, ok1 && ok2 && err1 == nil && err2 == nil
}

// parseEndpoint reads ADDRESS:PORT in hexadecimal. The kernel prints each 32 bits of the address, which are in network order in its
// memory, as a number of this machine; the port is a plain number. An IPv4 address in an IPv6 socket is returned as IPv4.
func parseEndpoint(s string) (e flow.Endpoint, ok bool) {
	address, port, ok := strings.Cut(s, ":")
	if !ok || len(address) != 8 && len(address) != 32 {
		return e, false
	}
	var raw []byte
	for i := 0; i < len(address); i += 8 {
		word, err := strconv.ParseUint(address[i:i+8], 16, 32)
		if err != nil {
			return e, false
		}
		raw = binary.NativeEndian.AppendUint32(raw, uint32(word))
	}
	n, err := strconv.ParseUint(port, 16, 16)
	ip, _ := netip.AddrFromSlice(raw)
	return flow.Endpoint{IP: ip.Unmap(), Port: uint16(n)}, err == nil
}
