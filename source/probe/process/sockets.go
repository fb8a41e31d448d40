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

	"github.com/vitrine-ndr/vitrine/flow"
)

const (
	// maxSocketTable bounds how much of /proc/PID/net/tcp is read: a row has 150 bytes, so that is some 400,000 sockets.
	maxSocketTable, socketChunk = 64 << 20, 64 << 10
)

// ErrNoSocket tells that a file descriptor is no TCP socket that its network namespace knows.
var ErrNoSocket = errors.New("not a TCP socket")

// Socket is a TCP socket of a process. A listening one has no remote port.
type Socket struct {
	Local, Remote flow.Endpoint
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
