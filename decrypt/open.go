package decrypt

import (
	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
)

const (
	// maxTrialBytes bounds what guesses of record numbers may cost: opened bytes earn it back.
	maxTrialBytes = 64 << 20
	trialCost     = 1 << 10 // bytes that each guess is charged for beyond those of the record
	trialsEarned  = 8       // bytes of guesses per byte opened
)

// resume opens a record under the key of the records before it, trying the numbers that what is missing leaves open. The numbers are
// not on the wire: they are part of the nonce (RFC 8446 §5.3) or of what is authenticated (RFC 5246 §6.2.3.3), so the right one
// proves itself, and tells how many records are missing.
func (s *Session) resume(it item, m missed) ([]byte, handshake.ContentType, bool) {
	h := &s.half[it.dir]
	p := h.open
	if p == nil || !m.any() {
		return nil, 0, false
	}
	seq, plain, typ, ok := s.search(p, it.record, p.seq+uint64(m.lo), p.seq+uint64(m.hi))
	if !ok {
		return s.resumeUpdated(it, m)
	}
	if skipped := int(seq - p.seq); skipped > 0 && h.epoch != epochHandshake && m.data {
		n := m.content(skipped, p.overhead())
		if p.padded {
			n = 0 // how much of it was padding nobody knows
		}
		s.lose(s.lossReason(h))
		h.debt.add(m.at, n)
	}
	p.opened(it.record, seq)
	h.messages.Reset() // the rest of what has begun is missing
	return plain, typ, true
}

// resumeUpdated tries the key after the present one: the KeyUpdate may be among what is missing.
func (s *Session) resumeUpdated(it item, m missed) ([]byte, handshake.ContentType, bool) {
	h := &s.half[it.dir]
	if !s.hs.suite.TLS13 || h.epoch != epochApplication {
		return nil, 0, false
	}
	secret := s.hs.nextSecret(h.secret)
	p := s.hs.protection(it.dir, secret)
	if p == nil {
		return nil, 0, false
	}
	seq, plain, typ, ok := s.search(p, it.record, 0, uint64(m.hi))
	if !ok {
		return nil, 0, false
	}
	p.opened(it.record, seq)
	h.open, h.secret = p, secret
	s.lose(s.lossReason(h))
	h.debt.add(m.at, 0)
	h.messages.Reset()
	return plain, typ, true
}

// lossReason tells a loss by give-up, made good by a key that came later, from a loss of packets or for want of room.
func (s *Session) lossReason(h *half) flow.Reason {
	switch {
	case h.gaveUp != "":
		return flow.LateKey
	case h.split.starved:
		return flow.OverMemory
	}
	return flow.GapInRecords
}

// endReason tells why what is missing at the end of a direction was lost.
func (s *Session) endReason(h *half) flow.Reason {
	if reason := s.hopeless(); reason != "" {
		return reason
	}
	if h.open == nil && h.gaveUp != "" {
		return h.gaveUp // no key came, early or late
	}
	return s.lossReason(h)
}

// search tries a record under the numbers from lo to hi, the likely one first. It stops when the session has spent what it may on
// guesses: a hostile peer must not buy many trials with few bytes. The plaintext lies in the Worker's room, valid until the next record.
func (s *Session) search(p *protection, record []byte, lo, hi uint64) (uint64, []byte, handshake.ContentType, bool) {
	if seq, ok := p.likely(record); ok && seq >= lo && seq <= hi {
		if plain, typ, ok := p.open(s.w.plain, record, seq); ok {
			return seq, plain, typ, true
		}
	}
	for seq := lo; seq <= hi && s.trials > 0; seq++ {
		if plain, typ, ok := p.open(s.w.plain, record, seq); ok {
			return seq, plain, typ, true
		}
		s.trials -= len(record) + trialCost
	}
	return 0, nil, 0, false
}

// openNext opens a record as one of the first under a key that is not in use yet.
func (s *Session) openNext(it item, m missed) ([]byte, handshake.ContentType, bool) {
	h := &s.half[it.dir]
	c := s.candidate(it, m)
	if c.open == nil {
		return nil, 0, false
	}
	s.adopt(h, m, c)
	h.open.opened(it.record, c.seq)
	h.messages.Reset()
	return c.plain, c.typ, true
}

// beginsEpoch is openNext for an item that others of its direction wait before: it reports whether the item opens as one of the first
// under a key that is not in use yet, and takes that key into use. The item itself is opened once more when its turn comes.
func (s *Session) beginsEpoch(it *item) bool {
	if !s.hs.hasServer || !s.hs.hasClient {
		return false
	}
	h := &s.half[it.dir]
	m := h.missed
	m.add(it.hole, s.minRecord())
	c := s.candidate(*it, m)
	if c.open == nil {
		return false
	}
	s.adopt(h, m, c)
	it.hole, h.missed = hole{}, missed{}
	h.open.seq = c.seq
	return true
}

// adopt takes the key of a candidate into use, and accounts for the application data that was missed before it did.
func (s *Session) adopt(h *half, m missed, c candidate) {
	if m.data && s.skipsData(h, m, c) {
		s.lose(s.lossReason(h))
		h.debt.add(m.at, 0)
	}
	if s.lost && h.gaveUp != "" {
		s.reason = flow.LateKey
		s.revision++
	}
	h.epoch, h.open, h.secret = c.epoch, c.open, c.secret
	if !s.verified {
		s.verified = true
		s.revision++
	}
}

// skipsData reports whether application data may be in what was missed before the first record under the key of a candidate.
func (s *Session) skipsData(h *half, m missed, c candidate) bool {
	early := h.epoch == epochEarly && s.earlyData
	switch {
	case !s.hs.suite.TLS13:
		return c.seq > 1 // Finished comes before application data
	case c.epoch == epochHandshake:
		return early && m.content(1, s.minRecord()) != endOfEarlyDataLen
	}
	return early && c.epoch > epochEarly || c.seq > 0
}

// candidate is a secret that has opened a record, as the seq-th under it. plain is valid until the next record is tried.
type candidate struct {
	epoch  epoch
	open   *protection // nil if there is none
	secret SecretBytes
	seq    uint64
	plain  []byte
	typ    handshake.ContentType
}

// candidate tries every secret known for the epochs of a direction that have not begun.
func (s *Session) candidate(it item, m missed) candidate {
	h := &s.half[it.dir]
	s.ask()
	// Some of what is missing may have been under an earlier key: the numbers begin anew with each.
	lo, hi := uint64(max(0, m.lo-flightRecords)), uint64(m.hi)
	for e := s.nextEpoch(h); e <= epochApplication; e++ {
		label := LabelMaster
		if s.hs.suite.TLS13 {
			label = e.label(it.dir)
		}
		for _, secret := range s.secrets {
			if label == "" || secret.Label != label {
				continue
			}
			p := s.hs.protection(it.dir, secret.Value)
			if p == nil {
				continue
			}
			if seq, plain, typ, ok := s.search(p, it.record, lo, hi); ok {
				return candidate{e, p, secret.Value, seq, plain, typ}
			}
			h.tried = true
		}
	}
	return candidate{}
}

// nextEpoch returns the first epoch of a direction for which a key is to be found.
func (s *Session) nextEpoch(h *half) epoch {
	switch {
	case !s.hs.suite.TLS13:
		if h.open != nil {
			return epochApplication + 1 // only ChangeCipherSpec begins another
		}
		return epochApplication
	case h.open == nil:
		return h.epoch
	}
	return h.epoch + 1
}

// ask fetches the secrets of the connection if there may be new ones, and reports whether there are. Keys never takes a secret
// back but with all others of the connection, so as many as before are the same ones.
func (s *Session) ask() bool {
	g := s.w.cfg.Keys.Generation()
	if s.asked && g == s.generation || !s.hs.hasClient {
		return false
	}
	s.asked, s.generation = true, g
	before := len(s.secrets)
	s.secrets = s.w.cfg.Keys.Secrets(s.hs.clientRandom)
	if len(s.secrets) == before {
		return false
	}
	s.lookAgain()
	return true
}
