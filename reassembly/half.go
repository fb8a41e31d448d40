package reassembly

import (
	"bytes"
	"slices"
	"time"
)

// held is a segment that waits for the bytes before it. It owns data.
type held struct {
	seq, ack uint32
	at       time.Time
	data     []byte
	missing  int // bytes behind data that the capture cut off
}

func (s *held) end() uint32 { return s.seq + uint32(len(s.data)+s.missing) }

// half is one direction of a TCP connection. Sequence numbers are compared by the sign of their difference (RFC 9293 §3.4).
type half struct {
	started bool   // next is known
	next    uint32 // the byte that comes next
	acked   uint32 // of the other direction's bytes, as this side said last
	fin     bool   // the end is known
	finSeq  uint32 // the byte behind the last one; valid iff fin

	queue   []held // by seq, not overlapping
	bytes   int    // in queue
	since   time.Time
	packets int // of the connection since
}

func before(a, b uint32) bool { return int32(a-b) < 0 }

func (h *half) done() bool { return h.fin && h.started && !before(h.next, h.finSeq) }

// hold keeps a copy of the segment for later; what is held already wins. It returns how many bytes of it contradict that.
func (h *half) hold(a *Assembler, s held) (conflicts int) {
	if len(h.queue) == 0 {
		h.since, h.packets = s.at, 0
	}
	i, found := slices.BinarySearchFunc(h.queue, s.seq, func(q held, seq uint32) int { return int(int32(q.seq - seq)) })
	if found {
		conflicts += differ(s.data, h.queue[i].data)
		if s.end() == h.queue[i].end() || before(s.end(), h.queue[i].end()) {
			return conflicts
		}
	}
	if i > 0 {
		prev := &h.queue[i-1]
		if n := int(int32(prev.end() - s.seq)); n > 0 {
			conflicts += differ(s.data, prev.data[min(len(prev.data), int(s.seq-prev.seq)):])
			if !s.skip(n) {
				return conflicts
			}
		}
	}
	for ; i < len(h.queue) && before(h.queue[i].seq, s.end()); i++ {
		q := &h.queue[i]
		if before(s.seq, q.seq) {
			n := int(q.seq - s.seq)
			first := s
			first.data, first.missing = s.data[:min(n, len(s.data))], max(0, n-len(s.data))
			i = h.put(a, i, first)
			q = &h.queue[i]
		}
		rest := s.data[min(len(s.data), int(q.seq-s.seq)):]
		conflicts += differ(rest, q.data)
		if !s.skip(int(q.end() - s.seq)) {
			return conflicts
		}
	}
	h.put(a, i, s)
	return conflicts
}

// put inserts a copy of s before the i-th segment and returns the index of that one.
func (h *half) put(a *Assembler, i int, s held) int {
	s.data = append(a.buffer(len(s.data)), s.data...)
	h.queue = slices.Insert(h.queue, i, s)
	h.bytes += len(s.data)
	a.stats.HeldBytes += len(s.data)
	return i + 1
}

// pop takes the first held segment.
func (h *half) pop(a *Assembler) held {
	s := h.queue[0]
	if len(h.queue) == 1 { // the room behind it can be used again
		h.queue[0], h.queue = held{}, h.queue[:0]
	} else {
		h.queue = h.queue[1:]
	}
	h.bytes -= len(s.data)
	a.stats.HeldBytes -= len(s.data)
	return s
}

// skip drops the first n bytes and reports whether any are left.
func (s *held) skip(n int) bool {
	if n >= len(s.data)+s.missing {
		return false
	}
	if n > 0 {
		s.seq += uint32(n)
		k := min(n, len(s.data))
		s.data, s.missing = s.data[k:], s.missing-(n-k)
	}
	return true
}

// differ returns how many of the bytes that both have are different, at least roughly: 1 for any.
func differ(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return 0
	}
	return 1
}
