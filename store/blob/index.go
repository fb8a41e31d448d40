package blob

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/vitrine-ndr/vitrine/flow"
)

// The index of a closed segment is a table of connections, sorted by id, the offsets of their records, and a trailer that
// ends the file:
//
//	table    16 connection, 4 number of its first offset, 4 how many it has, 4 CRC-32C of the row so far
//	offsets  4 each
//	trailer  8 magic, 4 offset of the table, 4 connections, 4 packets, 4 CRC-32C of the trailer so far
const (
	trailerMagic = "VtrIdx\x01\n"
	trailerSize  = 24
	rowSize      = 28
	offsetSize   = 4
)

// errNoIndex means that a segment must be recovered: its writer has died, or the index is damaged.
var errNoIndex = errors.New("the segment has no valid index")

// index collects where the packets of each connection are while a segment is written.
type index struct {
	last    map[flow.ID]int32 // the connection's newest entry
	entries []entry
}

// entry is one packet; prev is the entry of the connection's packet before it, -1 if there is none.
type entry struct {
	offset uint32
	prev   int32
}

func newIndex() *index { return &index{last: map[flow.ID]int32{}} }

func (x *index) add(conn flow.ID, offset int64) {
	prev, ok := x.last[conn]
	if !ok {
		prev = -1
	}
	x.last[conn] = int32(len(x.entries))
	x.entries = append(x.entries, entry{uint32(offset), prev})
}

// offsets returns where the packets of a connection are, in their order.
func (x *index) offsets(conn flow.ID) []uint32 {
	var all []uint32
	if i, ok := x.last[conn]; ok {
		for ; i >= 0; i = x.entries[i].prev {
			all = append(all, x.entries[i].offset)
		}
	}
	slices.Reverse(all)
	return all
}

// write appends the index to a segment whose records end at the offset.
func (x *index) write(w io.Writer, at int64) error {
	conns := make([]flow.ID, 0, len(x.last))
	for id := range x.last {
		conns = append(conns, id)
	}
	slices.SortFunc(conns, func(a, b flow.ID) int { return bytes.Compare(a[:], b[:]) })

	out := bufio.NewWriterSize(w, 64<<10)
	offsets := make([]byte, 0, len(x.entries)*offsetSize)
	row := make([]byte, 0, rowSize)
	for _, id := range conns {
		first := len(offsets) / offsetSize
		for _, o := range x.offsets(id) {
			offsets = binary.LittleEndian.AppendUint32(offsets, o)
		}
		row = appendRow(row[:0], id, uint32(first), uint32(len(offsets)/offsetSize-first))
		out.Write(row) // an error stays until Flush
	}
	out.Write(offsets)
	out.Write(appendTrailer(nil, trailer{uint32(at), uint32(len(conns)), uint32(len(x.entries))}))
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}

// size returns how long the index is once it is written.
func (x *index) size() int64 {
	return int64(len(x.last)*rowSize + len(x.entries)*offsetSize + trailerSize)
}

func appendRow(b []byte, conn flow.ID, first, count uint32) []byte {
	start := len(b)
	b = append(b, conn[:]...)
	b = binary.LittleEndian.AppendUint32(b, first)
	b = binary.LittleEndian.AppendUint32(b, count)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// trailer tells where the index is.
type trailer struct{ table, conns, packets uint32 }

func appendTrailer(b []byte, t trailer) []byte {
	start := len(b)
	b = append(b, trailerMagic...)
	b = binary.LittleEndian.AppendUint32(b, t.table)
	b = binary.LittleEndian.AppendUint32(b, t.conns)
	b = binary.LittleEndian.AppendUint32(b, t.packets)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// readTrailer reads the end of a segment of a size. It returns errNoIndex where there is no trailer.
func readTrailer(r io.ReaderAt, size int64) (trailer, error) {
	b := make([]byte, trailerSize)
	if size < int64(len(segmentMagic)+trailerSize) {
		return trailer{}, errNoIndex
	}
	if _, err := r.ReadAt(b, size-trailerSize); err != nil {
		return trailer{}, fmt.Errorf("read trailer: %w", err)
	}
	t := trailer{binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:]), binary.LittleEndian.Uint32(b[16:])}
	if !bytes.Equal(b, appendTrailer(nil, t)) {
		return trailer{}, errNoIndex
	}
	if int64(t.table)+int64(t.conns)*rowSize+int64(t.packets)*offsetSize+trailerSize != size {
		return trailer{}, errNoIndex
	}
	return t, nil
}

// row reads row n of the table.
func (t trailer) row(r io.ReaderAt, n int) (id flow.ID, first, count uint32, err error) {
	var b [rowSize]byte
	if _, err := r.ReadAt(b[:], int64(t.table)+int64(n)*rowSize); err != nil {
		return id, 0, 0, fmt.Errorf("read index: %w", err)
	}
	id, first, count = flow.ID(b[:16]), binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:])
	if [rowSize]byte(appendRow(nil, id, first, count)) != b || uint64(first)+uint64(count) > uint64(t.packets) {
		return id, 0, 0, fmt.Errorf("row %d of the index: %w", n, errNoIndex)
	}
	return id, first, count, nil
}

// find returns which offsets are of the connection, by a binary search in the file. count is 0 where it has none.
func (t trailer) find(r io.ReaderAt, conn flow.ID) (first, count uint32, err error) {
	for low, high := 0, int(t.conns); low < high; {
		middle := int(uint(low+high) >> 1)
		id, first, count, err := t.row(r, middle)
		if err != nil {
			return 0, 0, err
		}
		switch bytes.Compare(id[:], conn[:]) {
		case 0:
			return first, count, nil
		case -1:
			low = middle + 1
		default:
			high = middle
		}
	}
	return 0, 0, nil
}

// offsets returns a reader of count offsets from number first on.
func (t trailer) offsets(r io.ReaderAt, first, count uint32) io.Reader {
	at := int64(t.table) + int64(t.conns)*rowSize + int64(first)*offsetSize
	return bufio.NewReader(io.NewSectionReader(r, at, int64(count)*offsetSize))
}
