package sensor

import (
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/reassembly"
)

// Stats count what happened so far.
type Stats struct {
	reassembly.Stats
	TLS       uint64                 // connections that have ended
	Decrypted uint64                 // among them, wholly
	Partial   uint64                 // among them, in part
	Reasons   map[flow.Reason]uint64 // why the others, and parts of the partial ones, were not
	Plaintext uint64                 // bytes of application data that were decrypted
	Lost      uint64                 // bytes of application data that were not
	Waiting   int                    // connections whose ciphertext waits for a key
	Received  uint64                 // packets that the kernel had for live inputs
	Dropped   uint64                 // among them, lost before they could be read
	Failures  uint64                 // of live inputs
}

// Stats returns the counts so far.
func (s *Sensor) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	if s.assembler != nil {
		out.Stats = s.assembler.Stats()
	}
	out.Reasons = make(map[flow.Reason]uint64, len(s.stats.Reasons))
	for r, n := range s.stats.Reasons {
		out.Reasons[r] = n
	}
	out.Waiting, out.Failures = s.waiting(), s.failed.Load()
	live := s.inputs.total()
	out.Received, out.Dropped = live.Received, live.Dropped
	return out
}

// count adds a TLS connection that has ended.
func (s *Sensor) count(c *flow.Conn) {
	s.stats.TLS++
	switch c.Decryption.State {
	case flow.DecryptedYes:
		s.stats.Decrypted++
	case flow.DecryptedPartial:
		s.stats.Partial++
	}
	if c.Decryption.Reason != "" {
		if s.stats.Reasons == nil {
			s.stats.Reasons = map[flow.Reason]uint64{}
		}
		s.stats.Reasons[c.Decryption.Reason]++
	}
	s.stats.Plaintext += c.TLS.PlaintextBytes
	s.stats.Lost += c.TLS.LostBytes
}
