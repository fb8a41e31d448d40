package export

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
)

const (
	// MaxVNI is the highest number of a VXLAN network.
	MaxVNI = 1<<24 - 1
	// MirrorData is how much of a stream a packet may hold so that it fits through a network with an MTU of 1,500 bytes, with
	// a frame, VXLAN, UDP and IPv6 around it.
	MirrorData = 1500 - 40 - udpHeader - vxlanHeader - etherHeader - 40 - tcpHeader

	vxlanHeader = 8
	etherHeader = 14
)

// Mirror is a Recorder that sends what it takes as frames in VXLAN (RFC 7348) to one receiver, as mirrors of cloud networks do.
type Mirror struct {
	conn   net.Conn
	head   [vxlanHeader]byte
	failed atomic.Uint64

	mu  sync.Mutex // guards buf
	buf []byte
}

// NewMirror returns a Mirror to an address and port, on a network's number.
func NewMirror(to string, vni uint32) (*Mirror, error) {
	if vni > MaxVNI {
		return nil, fmt.Errorf("there is no VXLAN network %d: the last is %d", vni, MaxVNI)
	}
	c, err := net.Dial("udp", to)
	if err != nil {
		return nil, fmt.Errorf("mirror to %s: %w", to, err)
	}
	m := &Mirror{conn: c}
	binary.BigEndian.PutUint32(m.head[0:], 1<<27) // there is a number
	binary.BigEndian.PutUint32(m.head[4:], vni<<8)
	return m, nil
}

// The hardware addresses of frames: both are made up, as the bit for local ones says.
const macs = "\x02\x76\x69\x74\x72\x02\x02\x76\x69\x74\x72\x01"

// Append implements Recorder. What the network does not take is counted.
func (m *Mirror) Append(_ flow.ID, p *capture.Packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.buf = append(append(m.buf[:0], m.head[:]...), macs...)
	kind := uint16(0x0800)
	if len(p.Data) > 0 && p.Data[0]>>4 == 6 {
		kind = 0x86dd
	}
	m.buf = append(binary.BigEndian.AppendUint16(m.buf, kind), p.Data...)
	if _, err := m.conn.Write(m.buf); err != nil {
		m.failed.Add(1)
	}
}

// Failed returns how many packets were not sent.
func (m *Mirror) Failed() uint64 { return m.failed.Load() }

// Close ends the mirror.
func (m *Mirror) Close() error { return m.conn.Close() }
