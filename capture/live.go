package capture

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// AnyInterface names all interfaces together. Their packets come with a Linux cooked header.
const AnyInterface = "any"

// ErrDown means that the interface went down or vanished. It can be opened again once it is back.
var ErrDown = errors.New("the interface is down or gone")

// LiveConfig says what to capture and how. The zero value of each field but Interface is a good choice.
type LiveConfig struct {
	Interface   string // its name, or AnyInterface
	Promiscuous bool   // see packets for others too: a mirror port needs it
	SnapLength  int    // bytes kept of each packet; MaxPacket if 0
	RingBytes   int    // memory that the kernel may fill while we are busy; 32 MiB if 0
	// BlockTimeout is how long the kernel may keep packets back to hand over many at once; 20 ms if 0. The delay is
	// at most twice that.
	BlockTimeout time.Duration
	// FanoutGroup, unless 0, shares the packets with the other Lives of this group: each conversation goes to one of them.
	FanoutGroup uint16
}

func (c LiveConfig) withDefaults() LiveConfig {
	if c.SnapLength <= 0 || c.SnapLength > MaxPacket {
		c.SnapLength = MaxPacket
	}
	if c.RingBytes <= 0 {
		c.RingBytes = 32 << 20
	}
	if c.BlockTimeout <= 0 {
		c.BlockTimeout = 20 * time.Millisecond
	}
	return c
}

// LiveStats counts packets since the capture was opened.
type LiveStats struct {
	Received uint64 // put into the ring
	Dropped  uint64 // lost by the kernel, because the ring was full
}

// Live reads packets from a network interface. It is a Reader; Stats and Close may be called from any goroutine.
type Live struct {
	ring  *ring
	link  link
	names map[int32]string // of the interfaces behind AnyInterface, by index

	block int // whose packets are being read
	left  int // packets of it that were not yet read
	at    int // offset in the ring of the next of them
	held  bool

	reading atomic.Bool // Read was called and will be called again
	closed  atomic.Bool
}

// OpenLive begins to capture.
func OpenLive(c LiveConfig) (*Live, error) {
	c = c.withDefaults()
	link, fd, err := openSocket(c.Interface)
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", c.Interface, err)
	}
	r, err := openRing(fd, c.RingBytes, c.BlockTimeout, link.reserve())
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", c.Interface, err)
	}
	if err := link.attach(fd, c); err != nil {
		r.free()
		return nil, fmt.Errorf("capture on %s: %w", c.Interface, err)
	}
	l := &Live{ring: r, link: link, names: map[int32]string{}}
	// For a Live that is closed by its reader while a packet is out, and never read again.
	runtime.AddCleanup(l, (*ring).free, r)
	return l, nil
}

// Read waits for a packet and fills in p, which then points into the ring. It returns ErrDown, wrapped, when the
// interface goes down, and os.ErrClosed after Close. It does not allocate.
func (l *Live) Read(p *Packet) error {
	if !l.reading.Load() {
		l.reading.Store(true)
	}
	for !l.closed.Load() {
		if l.left > 0 {
			l.unpack(p)
			return nil
		}
		if err := l.turn(); err != nil {
			l.stop()
			return fmt.Errorf("capture on %s: %w", l.link.name, err)
		}
	}
	l.stop()
	return os.ErrClosed
}

// turn gives back the block that was read and goes on to the next one, or waits for it.
func (l *Live) turn() error {
	if l.held {
		l.ring.giveBack(l.block)
		l.block, l.held = (l.block+1)%l.ring.blocks(), false
	}
	if l.ring.ours(l.block) {
		h := l.ring.header(l.block)
		l.held, l.left = true, int(h.Num_pkts)
		l.at = l.block*blockSize + int(h.Offset_to_first_pkt)
		return nil
	}
	err := l.ring.wait()
	if errors.Is(err, unix.ENETDOWN) {
		return ErrDown
	}
	return err
}

// stop notes that no packet is out, and frees the ring if Close has left that to us.
func (l *Live) stop() {
	l.reading.Store(false)
	if l.closed.Load() {
		l.ring.free()
	}
}

// unpack fills in p with the packet at l.at: struct tpacket3_hdr, struct sockaddr_ll, room, the packet.
func (l *Live) unpack(p *Packet) {
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&l.ring.mem[l.at]))
	from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&l.ring.mem[l.at+unix.SizeofTpacket3Hdr]))
	start := l.at + int(h.Mac)
	end := start + int(h.Snaplen)
	p.Time = time.Unix(int64(h.Sec), int64(h.Nsec)).UTC()
	p.Link = l.link.kind
	p.Interface = l.link.name
	p.Length = int(h.Len)

	front := start
	if l.link.cooked {
		front = cook(l.ring.mem, start, h, from)
		if l.link.index == 0 {
			p.Interface = l.name(from.Ifindex)
		}
	} else if h.Status&unix.TP_STATUS_VLAN_VALID != 0 && end-start >= 2*macLength {
		front = retag(l.ring.mem, start, h)
	}
	p.Length += start - front
	p.Data = l.ring.mem[front:end:end]

	l.at += int(h.Next_offset)
	l.left--
}

// name returns the name of the interface with the index. A name that changes while we capture is not noticed.
func (l *Live) name(index int32) string {
	name, ok := l.names[index]
	if !ok && len(l.names) < maxInterfaces {
		name = interfaceName(l.ring.fd, index)
		l.names[index] = name
	}
	return name
}

// Stats returns the counters so far. They stay after Close.
func (l *Live) Stats() LiveStats { return l.ring.count() }

// Close ends the capture; a Read that waits returns os.ErrClosed. A packet that another goroutine has read stays valid
// until that goroutine calls Read again.
func (l *Live) Close() error {
	l.closed.Store(true)
	l.ring.wakeUp()
	// Either this load sees that a Read has begun, or that Read sees that we are closed.
	if !l.reading.Load() {
		l.ring.free()
	}
	return nil
}
