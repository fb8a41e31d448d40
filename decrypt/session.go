package decrypt

import (
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Output takes what a Session makes of one connection. Its methods are called from within the Session's, and must not call them.
type Output interface {
	// Plain hands over application data that was seen at the time. b is valid until Plain returns.
	Plain(dir flow.Direction, at time.Time, b []byte)
	// Lost tells of n bytes of application data that could not be had, before those that Plain hands over next;
	// n is 0 where even their number is unknown.
	Lost(dir flow.Direction, at time.Time, n int)
}

// Config is what all sessions share. Its members are safe for concurrent use.
type Config struct {
	Keys         Keys
	Certificates *handshake.Certificates
	MaxWaiting   int // bytes of ciphertext that wait for keys, per session
}

// DefaultMaxWaiting is enough for a handshake and the first response.
const DefaultMaxWaiting = 1 << 20

// Worker is what the sessions of one goroutine share: room for plaintext and for parsed messages.
type Worker struct {
	cfg     Config
	buffers buffers
	plain   []byte
	client  handshake.ClientHello
	server  handshake.ServerHello
	held    int64 // bytes of ciphertext that wait for keys
}

// NewWorker returns a Worker for one goroutine.
func NewWorker(cfg Config) *Worker {
	return &Worker{cfg: cfg, plain: make([]byte, 0, handshake.MaxPayload)}
}

// Held returns how many bytes its sessions keep of ciphertext that waits for keys. Each is bounded by itself; who has to bound their sum
// calls GiveUp of those that have waited for longest, for they have the least to hope for.
func (w *Worker) Held() int64 { return w.held }

// Session opens the records of one TLS connection. Arbitrary pieces of both directions go in, in the order in which they were
// seen; application data comes out in the same order. All methods belong to the goroutine of its Worker.
type Session struct {
	w     *Worker
	out   Output
	half  [2]half
	hs    negotiation
	facts flow.TLS

	secrets    []Secret
	generation uint64
	asked      bool // secrets are those of generation

	queue   []item
	scanned int  // items of the queue that were tried as the first of an epoch, with all secrets
	stuck   bool // the first item was tried with all secrets
	waiting int  // bytes that the queue holds

	earlyData  bool // the client offers early data, and the server has not refused it
	answered   bool // the server has told whether it takes early data
	serverDone bool // TLS 1.2: the server sent a full handshake
	verified   bool // a secret has opened a record
	lost       bool // application data was lost
	reason     flow.Reason
	revision   int
	trials     int // bytes that may be spent on guesses of record numbers
}

// half is one direction.
type half struct {
	split    splitter
	messages handshake.Messages
	epoch    epoch
	open     *protection // nil until a record of the epoch was opened
	secret   SecretBytes // the traffic secret of open
	missed   missed
	debt     debt
	gaveUp   flow.Reason // records that no key opens are no longer waited with
	ended    flow.Reason // nothing that follows makes sense
	closed   bool        // close_notify was seen
	tried    bool        // a candidate secret did not open a record
}

// NewSession returns a Session of a connection whose first bytes are a ClientHello, or ought to be.
func (w *Worker) NewSession(out Output) *Session {
	return &Session{w: w, out: out, trials: maxTrialBytes}
}

// Data takes the next bytes of a direction. b is not kept and not changed.
func (s *Session) Data(dir flow.Direction, at time.Time, b []byte) {
	h := &s.half[dir]
	for len(b) > 0 && h.ended == "" && !h.closed {
		rec, n, err := h.split.next(b, &s.w.buffers)
		b = b[n:]
		if err != nil {
			s.end(dir, at, flow.Malformed)
			return
		}
		if rec != nil {
			missing := h.split.hole
			h.split.hole = hole{}
			if missing.wire > 0 && missing.at.IsZero() {
				missing.at = at
			}
			s.record(item{dir: dir, at: at, record: rec, hole: missing})
			h.split.release(&s.w.buffers)
		}
	}
}

// Gap tells of n bytes of a direction that were never seen; 0 stands for an unknown number.
func (s *Session) Gap(dir flow.Direction, at time.Time, n int) {
	h := &s.half[dir]
	if h.ended == "" && !h.closed {
		h.split.gap(at, n, &s.w.buffers)
	}
}

// Waiting reports whether ciphertext waits for keys.
func (s *Session) Waiting() bool { return len(s.queue) > 0 }

// Retry looks for new keys if ciphertext waits for them. It costs next to nothing when there are none.
func (s *Session) Retry() {
	if len(s.queue) > 0 && s.ask() {
		s.drain("")
	}
}

// GiveUp ends the wait for keys: what no key opens now is lost for the reason given. Should a key come later, the records from
// then on are opened.
func (s *Session) GiveUp(reason flow.Reason) {
	s.drain(reason)
}

// Close ends the connection, and gives back the room that it had. The facts are final.
func (s *Session) Close(at time.Time) {
	s.GiveUp(flow.NoKey)
	for dir := range s.half {
		s.closeHalf(&s.half[dir], at)
		s.tell(flow.Direction(dir))
	}
}

// closeHalf ends a direction. Behind a hole at its end nothing tells what was in it: where application data may have been, it is
// taken for lost, whatever the epoch, for "yes" promises that nothing is missing.
func (s *Session) closeHalf(h *half, at time.Time) {
	typ, cut := h.split.finish(at, &s.w.buffers)
	h.missed.add(h.split.hole, s.minRecord())
	h.split.hole = hole{}
	h.messages.Reset()
	if !h.missed.data || h.ended != "" || cut && !h.split.gapped && s.inTheClear(h, typ) {
		return
	}
	s.lose(s.endReason(h))
	h.debt.add(h.missed.at, 0)
}

// Revision changes whenever Facts would tell something new, counters aside.
func (s *Session) Revision() int { return s.revision }

// end gives up a direction for good.
func (s *Session) end(dir flow.Direction, at time.Time, reason flow.Reason) {
	h := &s.half[dir]
	h.split.release(&s.w.buffers)
	h.ended = reason
	s.lose(reason)
	h.debt.add(at, 0)
}

// lose notes that application data was lost. The first reason is the one that is told.
func (s *Session) lose(reason flow.Reason) {
	if s.lost {
		return
	}
	s.lost, s.reason = true, reason
	s.revision++
}

// tell tells the Output of what is lost before anything else of that direction.
func (s *Session) tell(dir flow.Direction) {
	d := &s.half[dir].debt
	if !d.owed {
		return
	}
	n := d.n
	if d.vague {
		n = 0
	}
	at := d.at
	*d = debt{}
	s.out.Lost(dir, at, n)
}

// Facts returns what the handshake told, and how far the connection was decrypted up to now: yes if all application data was,
// and a key was verified; partial if some was; no otherwise. A connection that ended without application data, and without
// a verified key, has the reason no_application_data. In TLS 1.3 without keys nobody can tell encrypted handshake messages from application
// data: they count as such.
func (s *Session) Facts() (flow.TLS, flow.Decryption) {
	switch {
	case len(s.queue) > 0 && s.facts.PlaintextBytes == 0:
		return s.facts, flow.Decryption{State: flow.DecryptedNo, Reason: flow.NoKey}
	case s.lost && s.facts.PlaintextBytes > 0:
		return s.facts, flow.Decryption{State: flow.DecryptedPartial, Source: flow.FromKeys, Reason: s.reason}
	case s.lost:
		return s.facts, flow.Decryption{State: flow.DecryptedNo, Reason: s.reason}
	case s.verified:
		return s.facts, flow.Decryption{State: flow.DecryptedYes, Source: flow.FromKeys}
	}
	return s.facts, flow.Decryption{State: flow.DecryptedNo, Reason: flow.NoApplicationData}
}
