package blob

import (
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
