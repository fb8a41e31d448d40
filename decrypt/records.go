package decrypt

import (
	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
)

// record takes the next record of a direction. it.record is valid until record returns: what has to wait is copied.
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

// plainRecord handles a record that is not protected. Nobody vouches for it: it may teach what the hellos and the certificate say, but
// what it says of the end of the connection (an alert) is not believed.
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
	first := h.epoch == epochPlain
	h.epoch, h.open = epochApplication, nil
	h.missed = missed{}
	h.messages.Reset()
	// An abbreviated handshake (RFC 5246 §7.3) goes from the hellos to ChangeCipherSpec.
	if first && dir == flow.ToClient && s.hs.hasServer && !s.serverDone && !h.split.gapped {
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
	if h.open == nil || h.epoch != epochApplication {
		return false // the key of a later epoch may come: what ends this one may be missing
	}
	reason := flow.BadTag
	if m.any() {
		reason = s.lossReason(h)
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

// content handles what was in a record.
func (s *Session) content(it item, plain []byte, typ handshake.ContentType) {
	h := &s.half[it.dir]
	s.trials = min(maxTrialBytes, s.trials+trialsEarned*len(it.record))
	switch typ {
	case handshake.ApplicationData:
		if len(plain) == 0 {
			return // a decoy against traffic analysis (RFC 8446 §5.1)
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
		if len(plain) == 2 && plain[1] == 0 { // close_notify: what follows is to be ignored (RFC 8446 §6.1)
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

// drop counts a record that will never be opened. In TLS 1.3 each has the type of application data, and where handshake messages cannot
// be told from it they count as such: too much is told to be lost rather than too little.
func (s *Session) drop(it item, m missed, reason flow.Reason) {
	h := &s.half[it.dir]
	data := handshake.ContentType(it.record[0]) == handshake.ApplicationData
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
	h := &s.half[it.dir]
	if it.hole.wire > 0 { // of early data too: what ends it comes last
		s.lose(s.lossReason(h))
		h.debt.add(it.hole.at, 0)
	}
	n := max(0, len(it.record)-s.minRecord())
	if n == 0 || n == endOfEarlyDataLen {
		return
	}
	s.facts.LostBytes += uint64(n)
	s.lose(flow.NoKey)
	h.debt.add(it.at, n)
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
