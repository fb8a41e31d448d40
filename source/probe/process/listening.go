package process

import (
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	// socketRowSize is the length of a row (TMPSZ in net/ipv4/tcp_ipv4.c); in the IPv6 table rows are longer.
	socketRowSize = 150
	// listensYet is how old a list of listeners may be that lacks a port, listensStill one that has it.
	listensYet, listensStill = time.Second, time.Minute
	// maxNamespaces bounds the lists of listeners that are kept.
	maxNamespaces = 1024
)

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
