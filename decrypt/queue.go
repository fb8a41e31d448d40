package decrypt

import (
	"bytes"
	"slices"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// item is a record, with what is missing before it. Its bytes belong to the caller of Data until it is put into the queue, which has
// its own copy.
type item struct {
	dir    flow.Direction
	at     time.Time
	record []byte
	hole   hole
	// passed: a later record of the direction is under a later key, so this one never opens.
	passed bool
}

// itemCost is what an item takes beyond its bytes.
const itemCost = 128

// enqueue keeps an item until a key comes. If the session has used up its room, the wait of what is kept already is over, and its own
// too.
func (s *Session) enqueue(it item) {
	cost := len(it.record) + itemCost
	if s.waiting+cost > s.w.cfg.MaxWaiting {
		s.GiveUp(flow.NoKey)
		if !s.protected(it) {
			s.abandon(it, flow.NoKey)
		}
		return
	}
	s.waiting += cost
	s.w.held += int64(cost)
	it.record = bytes.Clone(it.record)
	s.queue = append(s.queue, it)
	s.drain("")
}

// drain opens the waiting items from the front, up to the first that has to wait further; with a reason to give up, none has to.
func (s *Session) drain(giveUp flow.Reason) {
	if len(s.queue) > 0 {
		s.ask()
	}
	for len(s.queue) > 0 {
		it := s.queue[0]
		switch {
		case it.passed:
			s.pass(it)
		case giveUp == "" && s.awaitsAnswer(&it):
			if s.readAnswer() {
				continue
			}
			return
		case !s.stuck && s.protected(it):
		case s.skipAhead():
			s.stuck = false
			continue
		case giveUp != "":
			s.abandon(it, giveUp)
		default:
			s.stuck = true
			return
		}
		s.pop()
	}
}

// lookAgain makes drain try every waiting item anew: there is a new secret, or a hello.
func (s *Session) lookAgain() { s.scanned, s.stuck = 0, false }

// pop removes the first item, which was opened or given up.
func (s *Session) pop() {
	s.pay(s.queue[0])
	s.queue[0] = item{}
	s.queue = s.queue[1:]
	s.scanned, s.stuck = max(0, s.scanned-1), false
	if len(s.queue) == 0 {
		s.queue = nil // with the room of all that have been in it
	}
}

// remove takes an item from the middle.
func (s *Session) remove(i int) {
	s.pay(s.queue[i])
	s.queue = slices.Delete(s.queue, i, i+1)
	s.lookAgain()
}

// pay gives back what an item has cost.
func (s *Session) pay(it item) {
	cost := len(it.record) + itemCost
	s.waiting -= cost
	s.w.held -= int64(cost)
}

// skipAhead looks in the queue for a record that opens as the first under a later key of a direction whose front has to wait:
// what is before it never opens (early data, or a handshake whose secret nobody logged). Each item is tried once per set of secrets.
func (s *Session) skipAhead() bool {
	for ; s.scanned < len(s.queue); s.scanned++ {
		it := &s.queue[s.scanned]
		h := &s.half[it.dir]
		if it.passed || h.open != nil && h.epoch == epochApplication || !s.beginsEpoch(it) {
			continue
		}
		for i := range s.queue[:s.scanned] {
			if s.queue[i].dir == it.dir {
				s.queue[i].passed = true
			}
		}
		return true
	}
	return false
}

// awaitsAnswer reports whether a record may be early data that the server does not take: its EncryptedExtensions tell. What
// it does not take, the client sends again.
func (s *Session) awaitsAnswer(it *item) bool {
	return it.dir == flow.ToServer && s.earlyData && !s.answered && s.hs.hasServer && s.half[flow.ToServer].epoch == epochEarly
}

// readAnswer opens the server's first waiting record before its turn. It holds handshake messages and no plaintext.
func (s *Session) readAnswer() bool {
	for i := range s.queue {
		if it := s.queue[i]; it.dir == flow.ToClient {
			if !s.protected(it) {
				return false
			}
			s.remove(i)
			return true
		}
	}
	return false
}
