package content

// keep keeps the beginning of the content.
func (s *Sink) keep(b []byte) {
	most := max(s.out.Limits.Body, typeBytes)
	n := min(most-len(s.kept), len(b))
	if n <= 0 || s.full {
		return
	}
	if need := len(s.kept) + n; need > s.held {
		room := min(max(need, 2*s.held), most)
		if s.full = !s.out.Memory.Take(room - s.held); s.full {
			s.out.Anomaly(OverMemory)
			return
		}
		s.held = room
		s.kept = append(make([]byte, 0, room), s.kept...)
	}
	s.kept = append(s.kept, b[:n]...)
}

// Release gives back the memory of the Content's body. Whoever has that by now answers for it.
func (s *Sink) Release() {
	s.out.Memory.Give(s.held)
	s.held, s.kept, s.full = 0, nil, true // an Inflater may have something for its last Sink when it is closed
}

// reserve takes the memory that the decompressor may need at the most.
func (l *layer) reserve(head []byte) bool {
	need := deflateWindow
	switch l.name {
	case "br":
		need = brotliWindow(head[0])
	case "zstd":
		need = zstdWindow
	}
	if !l.decoder.sink.out.Memory.Take(need) {
		return false
	}
	l.window = need
	return true
}

// refuse leaves content as it is that there is no memory for. Messages that are one stream together cannot be told apart in it:
// they end there.
func (l *layer) refuse() error {
	if l.name == perMessage {
		return errMemory
	}
	l.decoder.sink.cut(OverMemory)
	return nil
}

// brotliWindow reads the window size that begins a stream, RFC 7932 section 9.1.
func brotliWindow(first byte) int {
	switch {
	case first&1 == 0:
		return 1 << 16
	case first>>1&7 != 0:
		return 1 << (17 + first>>1&7)
	case first>>4&7 == 0:
		return 1 << 17
	}
	return 1 << (8 + first>>4&7)
}
