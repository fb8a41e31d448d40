package blob

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

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
