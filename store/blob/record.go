package blob

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
)

// A segment is the file magic, then records, then, once it is closed, the index. All numbers are little endian.
//
// A record is one packet:
//
//	 0  CRC-32C of what follows
//	 4  length of name and data
//	 8  connection
//	24  nanoseconds since 1970
//	32  length of the packet on the wire
//	36  link type
//	38  length of the name
//	39  version of this layout
//	40  name of the interface, data of the packet
const (
	segmentMagic  = "VtrPkt\x01\n"
	recordHeader  = 40
	recordVersion = 1
	maxName       = 255
	maxRecord     = recordHeader + maxName + capture.MaxPacket
)

var (
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	errChecksum = errors.New("the checksum does not match")
)

// appendRecord appends a packet to b, without its checksum. What is longer than a record may be is cut.
func appendRecord(b []byte, conn flow.ID, p *capture.Packet) []byte {
	name, data := p.Interface[:min(len(p.Interface), maxName)], p.Data[:min(len(p.Data), capture.MaxPacket)]
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)+len(data)))
	b = append(b, conn[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Time.UnixNano()))
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Length))
	b = binary.LittleEndian.AppendUint16(b, uint16(p.Link))
	b = append(b, byte(len(name)), recordVersion)
	b = append(b, name...)
	return append(b, data...)
}

// recordSize returns how long the record of a packet is.
func recordSize(p *capture.Packet) int {
	return recordHeader + min(len(p.Interface), maxName) + min(len(p.Data), capture.MaxPacket)
}

// record is a whole record, or the beginning of one.
type record []byte

// size returns how long the whole record is. Valid iff the header is there.
func (r record) size() int { return recordHeader + int(binary.LittleEndian.Uint32(r[4:])) }

func (r record) conn() flow.ID { return flow.ID(r[8:24]) }

// seal sets the checksum.
func (r record) seal() { binary.LittleEndian.PutUint32(r, crc32.Checksum(r[4:], castagnoli)) }

// check tells whether a whole record is as it was written.
func (r record) check() error {
	if binary.LittleEndian.Uint32(r) != crc32.Checksum(r[4:], castagnoli) {
		return errChecksum
	}
	if v := r[39]; v != recordVersion {
		return fmt.Errorf("version %d of the record is not known", v)
	}
	if int(r[38]) > len(r)-recordHeader {
		return errors.New("the interface's name is longer than the record")
	}
	return nil
}

func (r record) time() time.Time {
	return time.Unix(0, int64(binary.LittleEndian.Uint64(r[24:]))).UTC()
}

// packet fills in p, whose Data then points into the record. Valid iff check has passed.
func (r record) packet(p *capture.Packet) {
	data := recordHeader + int(r[38])
	p.Time = r.time()
	p.Length = int(binary.LittleEndian.Uint32(r[32:]))
	p.Link = capture.LinkType(binary.LittleEndian.Uint16(r[36:]))
	if name := r[recordHeader:data]; p.Interface != string(name) {
		p.Interface = string(name)
	}
	p.Data = r[data:]
}
