package blob

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

const segmentSuffix = ".packets"

// segmentPath names a segment by its number: names sort in the order in which segments were written.
func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016d%s", number, segmentSuffix))
}

// segmentNumber reads what segmentPath wrote.
func segmentNumber(path string) (uint64, bool) {
	name, ok := strings.CutSuffix(filepath.Base(path), segmentSuffix)
	n, err := strconv.ParseUint(name, 10, 64)
	return n, ok && err == nil
}

// segment is a closed segment. It never changes.
type segment struct {
	path     string
	size     int64
	closed   time.Time
	trailer  trailer
	low, top flow.ID // the lowest and the highest connection: ids sort by time, so most segments can be passed over
	damaged  bool    // it can't be read, and waits to be old enough to go
}

// may says whether the segment can hold packets of the connection.
func (s *segment) may(conn flow.ID) bool {
	return !s.damaged && string(conn[:]) >= string(s.low[:]) && string(conn[:]) <= string(s.top[:])
}

// active is the segment that is being written. Only its index is shared, under the lock of Packets.
type active struct {
	file  *os.File
	path  string
	size  int64
	begun time.Time
	index *index
}

func newActive(path string, now time.Time) (*active, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	if _, err := file.WriteString(segmentMagic); err != nil {
		return nil, errors.Join(fmt.Errorf("write segment: %w", err), file.Close(), os.Remove(path))
	}
	return &active{file: file, path: path, size: int64(len(segmentMagic)), begun: now, index: newIndex()}, nil
}

// write appends whole records. After an error the segment is as before: what a part of them left behind is written over.
func (a *active) write(records []byte) error {
	if _, err := a.file.WriteAt(records, a.size); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	return nil
}

// note adds the records that were written to the index.
func (a *active) note(records []byte) {
	for len(records) > 0 {
		r := record(records)
		a.index.add(r.conn(), a.size)
		n := r.size()
		a.size += int64(n)
		records = records[n:]
	}
}

// close writes the index and returns the closed segment. Where that is nil, the segment is still open, as before; an
// error beside it means that it can't be read again.
func (a *active) close() (*segment, error) {
	if err := a.file.Truncate(a.size); err != nil {
		return nil, fmt.Errorf("cut segment: %w", err)
	}
	if err := a.index.write(io.NewOffsetWriter(a.file, a.size), a.size); err != nil {
		return nil, err
	}
	err := a.file.Close()
	s, openErr := openSegment(a.path)
	if err = errors.Join(err, openErr); err != nil {
		return damagedSegment(a.path), fmt.Errorf("close segment: %w", err)
	}
	return s, nil
}

// openSegment reads what must be known of a closed segment. It returns errNoIndex, wrapped, if it is not one.
func openSegment(path string) (*segment, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	s := &segment{path: path, size: info.Size(), closed: info.ModTime()}
	if s.trailer, err = readTrailer(file, s.size); err != nil {
		return nil, err
	}
	if s.trailer.conns == 0 {
		return nil, errNoIndex
	}
	if s.low, _, _, err = s.trailer.row(file, 0); err != nil {
		return nil, err
	}
	s.top, _, _, err = s.trailer.row(file, int(s.trailer.conns)-1)
	return s, err
}

// damagedSegment stands for a file that can't be read, so that its size counts and its age ends.
func damagedSegment(path string) *segment {
	s := &segment{path: path, damaged: true}
	if info, err := os.Stat(path); err == nil {
		s.size, s.closed = info.Size(), info.ModTime()
	}
	return s
}

// recoverSegment closes a segment whose writer has died: it cuts off the first record that is not whole and all that
// follows, and writes the index. cut is how many bytes that were. A segment without any record is removed: the result
// is nil then.
func recoverSegment(path string) (s *segment, cut int64, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("open segment: %w", err)
	}
	a := &active{file: file, path: path, index: newIndex()}
	if a.size, err = scan(file, a.index); err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("measure segment: %w", err), file.Close())
	}
	if len(a.index.entries) == 0 {
		return nil, info.Size(), errors.Join(file.Close(), os.Remove(path))
	}
	if s, err = a.close(); s == nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return s, info.Size() - a.size, err
}

// scan adds every whole record to the index and returns where the last of them ends. A file that does not begin as a
// segment does is an error, unless it is shorter than that beginning.
func scan(r io.Reader, x *index) (int64, error) {
	in := bufio.NewReaderSize(r, 256<<10)
	magic := make([]byte, len(segmentMagic))
	if n, err := io.ReadFull(in, magic); string(magic[:n]) != segmentMagic[:n] {
		return 0, errors.New("recover segment: it does not begin as one")
	} else if err != nil {
		return 0, eof(err)
	}
	at := int64(len(segmentMagic))
	buf := make([]byte, maxRecord)
	for {
		if _, err := io.ReadFull(in, buf[:recordHeader]); err != nil {
			return at, eof(err)
		}
		n := record(buf).size()
		if n > maxRecord || n < recordHeader {
			return at, nil
		}
		if _, err := io.ReadFull(in, buf[recordHeader:n]); err != nil {
			return at, eof(err)
		}
		r := record(buf[:n])
		if r.check() != nil || at+int64(n) > maxSegment {
			return at, nil
		}
		x.add(r.conn(), at)
		at += int64(n)
	}
}

// eof returns nil for the end of a file.
func eof(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fmt.Errorf("recover segment: %w", err)
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
