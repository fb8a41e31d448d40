package sensor

import (
	"container/list"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

const (
	// patience is for how long a key may be on its way: who gives up later for want of memory had no key to wait for.
	patience = time.Second
	// maxEnded is how many connections may have ended and still wait for a key.
	maxEnded = 4096
)

// first returns the stream at the front of a list, or nil if it is empty.
func first(l *list.List) *stream {
	if e := l.Front(); e != nil {
		return e.Value.(*stream)
	}
	return nil
}

// waiting returns how many connections wait for a key.
func (s *Sensor) waiting() int { return s.open.Len() + s.ended.Len() }

// tryKeys lets waiting connections try keys that have come since. It looks at each of them, so it is called once per tick, and once for
// as many packets as there are of them: keys may come by the hundred a second. Packets of a connection try new keys at once, without it.
func (s *Sensor) tryKeys() {
	fresh := s.cfg.Keys.Generation()
	if fresh == s.keys {
		return
	}
	s.keys, s.untried = fresh, 0
	for _, l := range [...]*list.List{&s.open, &s.ended} {
		for e := l.Front(); e != nil; {
			st := e.Value.(*stream)
			e = e.Next()
			st.session.Retry()
			st.settle()
		}
	}
}

// expire gives up connections that have waited for long enough.
func (s *Sensor) expire(now time.Time) {
	for st := first(&s.open); st != nil && over(s.cfg.KeyWait, now.Sub(st.since)); st = first(&s.open) {
		st.giveUp(flow.NoKey)
	}
	for st := first(&s.ended); st != nil && over(s.cfg.CloseWait, now.Sub(st.end)); st = first(&s.ended) {
		st.giveUp(flow.NoKey)
	}
}

// over reports whether a time is longer than the limit; zero is none.
func over(limit, d time.Duration) bool { return limit > 0 && d > limit }

// makeRoom gives up those that have waited for longest while there are too many, or too much ciphertext is held. Most traffic may
// be of programs that hand over no keys: it must not take the room of those whose key is about to come.
func (s *Sensor) makeRoom(now time.Time) {
	for s.waiting() > 0 && (s.ended.Len() > maxEnded || s.worker.Held() > s.cfg.HeldBytes) {
		st, ended := first(&s.open), first(&s.ended)
		if st == nil || ended != nil && (s.ended.Len() > maxEnded || ended.since.Before(st.since)) {
			st = ended
		}
		if now.Sub(st.since) < patience && !s.complete {
			st.giveUp(flow.OverMemory)
		} else {
			st.giveUp(flow.NoKey)
		}
	}
}

// moveTo puts the stream at the end of a list; nil is none.
func (s *stream) moveTo(l *list.List) {
	if s.list != nil {
		s.list.Remove(s.place)
	}
	s.list, s.place = l, nil
	if l != nil {
		s.place = l.PushBack(s)
	}
}

// wait keeps note of whether ciphertext waits for its key, and since when.
func (s *stream) wait(now time.Time) {
	switch waiting := s.session.Waiting(); {
	case !waiting:
		s.moveTo(nil)
	case s.list == nil:
		s.since = now
		s.moveTo(&s.sensor.open)
	}
}

// settle ends a wait that is over.
func (s *stream) settle() {
	switch {
	case s.session.Waiting():
	case s.list == &s.sensor.ended:
		s.finish()
	default:
		s.moveTo(nil)
	}
}

// giveUp ends the wait for a key, in vain unless it has come just now.
func (s *stream) giveUp(reason flow.Reason) {
	s.session.GiveUp(reason)
	s.settle()
}
