package hooks

import (
	"bytes"
	"io"
)

const (
	// minPattern is the length of the shortest pattern: longer ones let the search skip more.
	minPattern = 8
	// chunk is how much of a file is in memory at a time.
	chunk = 256 << 10
)

// search looks for many patterns at once, in one pass (S. Wu and U. Manber, "A fast algorithm for multi-pattern searching",
// 1994, with blocks of two bytes).
type search struct {
	patterns []string
	skip     [1 << 16]uint8   // by the last two bytes of the window: how far the window can be moved
	ends     map[uint16][]int // patterns whose first minPattern bytes end with these two
	longest  int
}

// newSearch prepares a search. Each pattern has minPattern bytes or more.
func newSearch(patterns []string) *search {
	s := &search{patterns: patterns, ends: make(map[uint16][]int)}
	for i := range s.skip {
		s.skip[i] = minPattern - 1
	}
	for i, p := range patterns {
		for at := 1; at < minPattern; at++ {
			b := block(p[at-1], p[at])
			s.skip[b] = min(s.skip[b], uint8(minPattern-1-at))
		}
		last := block(p[minPattern-2], p[minPattern-1])
		s.ends[last] = append(s.ends[last], i)
		s.longest = max(s.longest, len(p))
	}
	return s
}

func block(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

// run calls found for each place at which a pattern is, with the offset in the file and what follows there: at least the
// pattern, and up to 32 bytes more. It stops at what can't be read.
func (s *search) run(file io.ReaderAt, in span, found func(pattern int, off uint64, text []byte)) {
	const beyond = 32
	end := in.off + in.size
	buf := make([]byte, min(end-in.off, chunk+uint64(s.longest)+beyond))
	for off := in.off; off < end; off += chunk {
		n, _ := file.ReadAt(buf[:min(uint64(len(buf)), end-off)], int64(off))
		if n == 0 {
			return
		}
		s.chunk(buf[:n], func(pattern, at int) {
			text := buf[at:n]
			found(pattern, off+uint64(at), text[:min(len(text), len(s.patterns[pattern])+beyond)])
		})
	}
}

// chunk reports the patterns that start in the first chunk bytes of b.
func (s *search) chunk(b []byte, found func(pattern, at int)) {
	for at := 0; at < chunk && at+minPattern <= len(b); {
		last := block(b[at+minPattern-2], b[at+minPattern-1])
		if skip := s.skip[last]; skip > 0 {
			at += int(skip)
			continue
		}
		for _, p := range s.ends[last] {
			if bytes.HasPrefix(b[at:], []byte(s.patterns[p])) {
				found(p, at)
			}
		}
		at++
	}
}
