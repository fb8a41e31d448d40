package authority

import (
	"container/list"
	"crypto/sha256"
	"crypto/tls"
	"sync"

	"github.com/vitrine-ndr/vitrine/flow"
)

// leafKey is what a leaf depends on.
type leafKey struct {
	origin [sha256.Size]byte
	fault  flow.Fault
	key    KeyType
}

// cache remembers the latest leaves within a limit of memory. Who asks for one that is being made waits for it.
type cache struct {
	mu    sync.Mutex
	free  int // bytes
	byKey map[leafKey]*list.Element
	order *list.List // of *cached, the latest used first
}

type cached struct {
	key  leafKey
	size int
	make func() (*tls.Certificate, error) // at the first call
}

// leafOverhead is what a leaf takes besides the fields of the origin's certificate: its keys, in two forms, and the structures.
const leafOverhead = 3 << 10

func newCache(memory int) cache {
	return cache{free: memory, byKey: make(map[leafKey]*list.Element), order: list.New()}
}

// get returns the leaf, made if it is not known. The size is that of the origin's certificate.
func (c *cache) get(key leafKey, size int, make func() (*tls.Certificate, error)) (*tls.Certificate, error) {
	e := c.entry(key, size, make)
	leaf, err := e.make()
	if err != nil { // the next one may have more luck
		c.mu.Lock()
		defer c.mu.Unlock()
		if element := c.byKey[key]; element != nil && element.Value == e {
			c.drop(element)
		}
	}
	return leaf, err
}

func (c *cache) entry(key leafKey, size int, make func() (*tls.Certificate, error)) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element := c.byKey[key]; element != nil {
		c.order.MoveToFront(element)
		return element.Value.(*cached)
	}
	e := &cached{key: key, size: 3*size + leafOverhead, make: sync.OnceValues(make)} // the form that is sent, and the parsed one
	c.byKey[key] = c.order.PushFront(e)
	c.free -= e.size
	for c.free < 0 && c.order.Len() > 1 {
		c.drop(c.order.Back())
	}
	return e
}

// drop forgets a leaf. Valid iff mu is held.
func (c *cache) drop(element *list.Element) {
	e := c.order.Remove(element).(*cached)
	delete(c.byKey, e.key)
	c.free += e.size
}
