package blob

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Read yields the packets of a connection in the order in which they were recorded, those of the last moments before
// the call (at most 200 ms) excepted. A packet's Data is valid until the next one. Damage is yielded as an error with an
// empty packet; what can still be read follows.
func (p *Packets) Read(conn flow.ID) iter.Seq2[capture.Packet, error] {
	return func(yield func(capture.Packet, error) bool) {
		var packet capture.Packet
		for _, part := range p.parts(conn) {
			var buf []byte
			for rec, err := range part.records(conn, &buf) {
				if err != nil {
					err = fmt.Errorf("read packets from %s: %w", part.path, err)
					p.damage(err)
					if !yield(capture.Packet{}, err) {
						return
					}
					continue
				}
				rec.packet(&packet)
				if !yield(packet, nil) {
					return
				}
			}
		}
	}
}

// part is where packets of a connection are.
type part struct {
	path    string
	end     int64    // of the records
	offsets []uint32 // of an open segment; a closed one is asked for them
	trailer *trailer // of a closed segment
}

// parts returns where to look for the packets of a connection.
func (p *Packets) parts(conn flow.ID) []part {
	p.files.RLock()
	defer p.files.RUnlock()
	var all []part
	for _, s := range p.closed {
		if s.may(conn) {
			all = append(all, part{path: s.path, end: int64(s.trailer.table), trailer: &s.trailer})
		}
	}
	if p.active != nil {
		if offsets := p.active.index.offsets(conn); len(offsets) > 0 {
			all = append(all, part{path: p.active.path, end: p.active.size, offsets: offsets})
		}
	}
	return all
}

// records yields the connection's records of one segment. It uses *buf again for each.
func (s part) records(conn flow.ID, buf *[]byte) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		file, err := os.Open(s.path)
		if errors.Is(err, fs.ErrNotExist) {
			return // too old by now
		} else if err != nil {
			yield(nil, err)
			return
		}
		defer file.Close()
		for at, err := range s.places(file, conn) {
			var rec record
			if err == nil {
				rec, err = recordAt(file, int64(at), s.end, buf)
			}
			if err == nil && rec.conn() != conn {
				err = errors.New("the index points to another connection")
			}
			if err != nil {
				err = fmt.Errorf("byte %d: %w", at, err)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// places yields the offsets of the connection's records. An error ends it.
func (s part) places(r io.ReaderAt, conn flow.ID) iter.Seq2[uint32, error] {
	if s.trailer == nil {
		return func(yield func(uint32, error) bool) {
			for at := range slices.Values(s.offsets) {
				if !yield(at, nil) {
					return
				}
			}
		}
	}
	return func(yield func(uint32, error) bool) {
		first, count, err := s.trailer.find(r, conn)
		if err != nil {
			yield(0, err)
			return
		}
		in := s.trailer.offsets(r, first, count)
		var b [offsetSize]byte
		for range count {
			if _, err := io.ReadFull(in, b[:]); err != nil {
				yield(0, fmt.Errorf("read index: %w", err))
				return
			}
			if !yield(binary.LittleEndian.Uint32(b[:]), nil) {
				return
			}
		}
	}
}

// recordAt reads the record at an offset of a segment into *buf, which it makes long enough.
func recordAt(r io.ReaderAt, at, end int64, buf *[]byte) (record, error) {
	const guess = 2048 // most records are shorter: one read for each
	if at < int64(len(segmentMagic)) || at+recordHeader > end {
		return nil, errors.New("the index points outside of the records")
	}
	n := int(min(guess, end-at))
	if len(*buf) < n {
		*buf = make([]byte, guess)
	}
	if _, err := r.ReadAt((*buf)[:n], at); err != nil {
		return nil, err
	}
	size := int64(binary.LittleEndian.Uint32((*buf)[4:])) + recordHeader
	if size > maxRecord || at+size > end {
		return nil, errors.New("a record is longer than it can be")
	}
	if int(size) > n {
		if int(size) > len(*buf) {
			*buf = append(make([]byte, 0, size), (*buf)[:n]...)[:size]
		}
		if _, err := r.ReadAt((*buf)[n:size], at+int64(n)); err != nil {
			return nil, err
		}
	}
	rec := record((*buf)[:size])
	return rec, rec.check()
}
