package decrypt

import (
	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
)

const (
	// maxTrialBytes bounds what guesses of record numbers may cost: opened bytes earn it back.
	maxTrialBytes = 64 << 20
	trialCost     = 1 << 10 // of each guess, beyond the bytes of the record
	trialsEarned  = 8       // bytes of guesses per byte opened
)

// record takes the next record of a direction.
func (s *Session) record(it item) {
	h := &s.half[it.dir]
	if s.inTheClear(h, handshake.ContentType(it.record[0])) {
		s.plainRecord(it) // it makes no plaintext, so it need not wait for its turn
		s.drain("")       // but may be the hello that others wait for
		return
	}
	switch {
	case len(s.queue) == 0 && !s.awaitsAnswer(&it) && s.protected(it):
	case len(s.queue) == 0 && h.gaveUp != "":
		s.abandon(it, h.gaveUp)
	default:
		s.enqueue(it)
	}
}

// inTheClear reports whether a record is not protected. In TLS 1.3 protected records pretend to be application data; before,
// ChangeCipherSpec divides.
func (s *Session) inTheClear(h *half, typ handshake.ContentType) bool {
	if typ == handshake.ApplicationData {
		return false
	}
	return s.hs.version == handshake.TLS13 || h.epoch == epochPlain
}

func (s *Session) plainRecord(it item) {
	h := &s.half[it.dir]
	if it.hole.wire > 0 {
		h.messages.Reset()
		h.missed.add(it.hole, s.minRecord())
	} else if h.missed.any() {
		h.missed.hi++ // it may be a protected one: what divides them may be missing
	}
	payload := it.record[handshake.HeaderLen:]
	switch handshake.ContentType(it.record[0]) {
	case handshake.Handshake:
		if h.messages.Add(payload, s.messageFrom(it.dir)) != nil && h.epoch == epochPlain && !h.split.gapped {
			s.end(it.dir, it.at, flow.Malformed)
		}
	case handshake.ChangeCipherSpec:
		if s.hs.version != handshake.TLS13 {
			s.changeCipherSpec(it.dir)
		}
	}
}

// changeCipherSpec begins the protection that the latest handshake agreed on, in TLS 1.2 and before.
func (s *Session) changeCipherSpec(dir flow.Direction) {
	h := &s.half[dir]
	h.epoch, h.open = epochApplication, nil
	h.missed = missed{}
	h.messages.Reset()
	if dir == flow.ToClient && s.hs.hasServer && !s.serverDone && !h.split.gapped {
		s.facts.Resumed = true
		s.revision++
	}
}

// protected opens a record and handles what is in it. It returns false if that has to wait for a key; a record that
// no key will ever open is lost, and done with.
func (s *Session) protected(it item) bool {
	h := &s.half[it.dir]
	m := h.missed
	m.add(it.hole, s.minRecord())
	if reason := s.hopeless(); reason != "" {
		s.drop(it, m, reason)
		return true
	}
	if !s.hs.hasServer || !s.hs.hasClient {
		return false
	}
	if s.hs.version != handshake.TLS13 && h.epoch == epochPlain {
		h.epoch = epochApplication // ChangeCipherSpec is missing
		m.lo = 0
	}
	if h.open != nil && !m.any() {
		if plain, typ, ok := h.open.open(s.w.plain, it.record, h.open.seq); ok {
			h.open.opened(it.record, h.open.seq)
			s.content(it, plain, typ)
			return true
		}
	}
	return s.protectedAfterLoss(it, m)
}

// protectedAfterLoss is the slow path of protected: no key is verified, records are missing, or the record does not fit.
func (s *Session) protectedAfterLoss(it item, m missed) bool {
	h := &s.half[it.dir]
	if plain, typ, ok := s.resume(it, m); ok {
		h.missed = missed{}
		s.content(it, plain, typ)
		return true
	}
	if plain, typ, ok := s.openNext(it, m); ok {
		h.missed = missed{}
		s.content(it, plain, typ)
		return true
	}
	if h.open == nil || h.epoch == epochEarly {
		return false
	}
	reason := flow.BadTag
	if m.any() {
		reason = flow.GapInRecords
	}
	s.drop(it, m, reason)
	return true
}

// hopeless returns why no key that may come can open a record, or an empty string.
func (s *Session) hopeless() flow.Reason {
	switch {
	case s.hs.hasServer && !s.hs.supported():
		return flow.UnsupportedSuite
	case !s.hs.hasClient && !s.hs.hasServer && (s.half[flow.ToServer].split.gapped || s.half[flow.ToClient].split.gapped):
		return flow.GapInRecords
	case !s.hs.hasClient && !s.hs.hasServer:
		return flow.Midstream
	}
	return ""
}

// resume opens a record under the key of the records before it, trying the numbers that what is missing leaves open.
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
	if skipped := int(seq - p.seq); skipped > 0 && h.epoch == epochApplication && m.data {
		s.lose(s.lossReason(h))
		h.debt.add(m.at, m.content(skipped, p.overhead()))
	}
	p.opened(it.record, seq)
	h.messages.Reset()
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

// lossReason tells a loss by give-up, made good by a key that came later, from a loss of packets.
func (s *Session) lossReason(h *half) flow.Reason {
	if h.gaveUp != "" {
		return flow.LateKey
	}
	return flow.GapInRecords
}

// search tries a record under the numbers from lo to hi. It stops when the session has spent what it may on guesses.
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

// beginsEpoch reports whether a waiting record opens as the first under a key that is not in use yet, and takes that key into use.
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
	h.open.seq = c.seq // it is opened once more when its turn comes
	return true
}

// adopt takes the key of a candidate into use, and accounts for the application data that was missed before it did.
func (s *Session) adopt(h *half, m missed, c candidate) {
	first := uint64(0)
	if !s.hs.suite.TLS13 {
		first = 1 // Finished comes before application data
	}
	if c.epoch == epochApplication && c.seq > first && m.data {
		s.lose(s.lossReason(h))
		h.debt.add(m.at, 0)
	}
	if s.lost && h.gaveUp != "" {
		s.reason = flow.LateKey
	}
	h.epoch, h.open, h.secret = c.epoch, c.open, c.secret
	if !s.verified {
		s.verified = true
		s.revision++
	}
}

// candidate is a secret that has opened a record.
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

// ask fetches the secrets of the connection if there may be new ones, and reports whether there are.
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

// content handles what was in a record.
func (s *Session) content(it item, plain []byte, typ handshake.ContentType) {
	h := &s.half[it.dir]
	s.trials = min(maxTrialBytes, s.trials+trialsEarned*len(it.record))
	switch typ {
	case handshake.ApplicationData:
		if len(plain) == 0 {
			return
		}
		s.facts.PlaintextBytes += uint64(len(plain))
		s.tell(it.dir)
		s.out.Plain(it.dir, it.at, plain)
	case handshake.Handshake:
		// A message that makes no sense changes nothing: the records are authentic.
		_ = h.messages.Add(plain, s.messageFrom(it.dir))
		if it.dir == flow.ToClient && !h.messages.Partial() {
			s.answered = true // or its word is missing
		}
	case handshake.ChangeCipherSpec:
		if !s.hs.suite.TLS13 {
			s.changeCipherSpec(it.dir)
		}
	case handshake.Alert:
		if len(plain) == 2 && plain[1] == 0 { // close_notify
			h.closed = true
		}
	}
}

// abandon drops a record that waited for a key in vain.
func (s *Session) abandon(it item, reason flow.Reason) {
	h := &s.half[it.dir]
	h.gaveUp = reason
	m := h.missed
	m.add(it.hole, s.minRecord())
	switch {
	case !s.hs.hasClient && s.half[flow.ToServer].split.gapped, !s.hs.hasServer && s.half[flow.ToClient].split.gapped:
		reason = flow.GapInRecords
	case !s.hs.hasClient || !s.hs.hasServer:
		reason = flow.Midstream
	case h.tried:
		reason = flow.BadTag
	}
	s.drop(it, m, reason)
}

// drop counts a record that will never be opened.
func (s *Session) drop(it item, m missed, reason flow.Reason) {
	h := &s.half[it.dir]
	data := handshake.ContentType(it.record[0]) == handshake.ApplicationData && (h.epoch != epochHandshake || h.open == nil)
	m.drop(it.at, it.record, data)
	if reason == flow.BadTag {
		m.lo-- // it may never have been one of the sender's
	}
	h.missed = m
	if !data {
		return
	}
	s.facts.LostBytes += uint64(max(0, len(it.record)-s.minRecord()))
	s.lose(reason)
}

// pass drops a record that precedes the first one under a later key: early data, unless the client has offered none.
func (s *Session) pass(it item) {
	if it.dir == flow.ToClient || !s.earlyData {
		return
	}
	n := max(0, len(it.record)-s.minRecord())
	if n == 0 || n == endOfEarlyDataLen {
		return
	}
	s.facts.LostBytes += uint64(n)
	s.lose(flow.NoKey)
	s.half[it.dir].debt.add(it.at, n)
}

// endOfEarlyDataLen is the length of the message that ends early data: a passed record of just that length is taken for it.
const endOfEarlyDataLen = 4

// minRecord is the length of the shortest protected record.
func (s *Session) minRecord() int {
	n := handshake.HeaderLen + tagLen + s.hs.suite.ExplicitNonceLen()
	if s.hs.suite.TLS13 {
		n++
	}
	return n
}
