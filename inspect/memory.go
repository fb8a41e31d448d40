package inspect

// spare is how much room a stream keeps for what its parser may leave another time.
const spare = 16 << 10

// charge takes the memory of what is left, or gives it back.
func (s *stream) charge() {
	for dir, b := range s.left {
		if len(b) == 0 && cap(b) > spare {
			s.left[dir] = nil
		}
	}
	size := cap(s.left[0]) + cap(s.left[1])
	if s.line != nil {
		size += cap(s.line.held) + cap(s.line.spare)
	}
	switch held := s.waits.Held(); {
	case size == held:
	case size < held:
		s.waits.Give(held - size)
	case !s.waits.Take(size - held):
		s.inspector.stats.overMemory.Add(1)
		s.giveUp("inspect_over_memory")
	}
}
