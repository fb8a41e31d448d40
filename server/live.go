package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/state"
	"github.com/vitrine-ndr/vitrine/store/query"
)

const (
	pingEvery = 15 * time.Second
	liveWrite = 10 * time.Second // for one write, before a follower counts as gone
	tailAgain = 2 * time.Second  // before a tail that failed is tried again
	maxBurst  = 256              // events that are written in one go
)

// hub hands new events to those who follow them. It reads the bus only while there are any.
type hub struct {
	max, buffer int
	dropped     atomic.Uint64
	wake        chan struct{} // holds a value once there may be followers

	mu        sync.Mutex
	followers map[*follower]struct{}
	stopTail  context.CancelFunc // of the tail that runs now, or nil
	closed    bool
}

// follower is one live tail. What finds no room in its buffer is left out and counted.
type follower struct {
	filter  *query.Filter
	records chan *event.Record
	dropped atomic.Uint64
	stop    chan struct{} // closed when the server stops
}

func newHub(maxFollowers, buffer int) *hub {
	return &hub{max: maxFollowers, buffer: buffer, wake: make(chan struct{}, 1), followers: map[*follower]struct{}{}}
}

// run reads the bus while somebody follows, until ctx is done.
func (h *hub) run(ctx context.Context, bus Live, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake:
		}
		for h.followed() && ctx.Err() == nil {
			tail, stop := context.WithCancel(ctx)
			h.setStop(stop)
			err := bus.Tail(tail, h.publish)
			h.setStop(nil)
			stop()
			if err != nil {
				log.Warn("live tail failed", "err", err)
				select {
				case <-ctx.Done():
				case <-time.After(tailAgain):
				}
			}
		}
	}
}

func (h *hub) followed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.followers) > 0
}

// setStop keeps what ends the present tail, and calls it at once if everybody has left meanwhile.
func (h *hub) setStop(stop context.CancelFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopTail = stop
	if stop != nil && len(h.followers) == 0 {
		stop()
	}
}

// publish gives each follower the records that it looks for. It never waits.
func (h *hub) publish(records []*event.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for f := range h.followers {
		for _, r := range records {
			if !f.filter.Match(r) {
				continue
			}
			select {
			case f.records <- r:
			default:
				f.dropped.Add(1)
				h.dropped.Add(1)
			}
		}
	}
}

// join adds a follower, unless there are too many or the server stops.
func (h *hub) join(filter *query.Filter) (*follower, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.followers) >= h.max {
		return nil, false
	}
	f := &follower{filter: filter, records: make(chan *event.Record, h.buffer), stop: make(chan struct{})}
	h.followers[f] = struct{}{}
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return f, true
}

func (h *hub) leave(f *follower) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.followers, f)
	if len(h.followers) == 0 && h.stopTail != nil {
		h.stopTail()
	}
}

// close ends all streams and admits no more.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	for f := range h.followers {
		close(f.stop)
	}
}

type liveInput struct{ Search }

func (s *Server) liveEvents(ctx context.Context, in *liveInput) (*huma.StreamResponse, error) {
	p := caller(ctx)
	filter, err := s.parse(p, in.Q)
	if err != nil {
		return nil, err
	}
	f, ok := s.live.join(filter)
	if !ok {
		return nil, huma.Error429TooManyRequests("Too many people follow new events already. Close another live tail, or try again later.")
	}
	if p.may(CanContent) {
		if err := s.audit(ctx, p.name, "content.follow", in.Q, state.OK); err != nil {
			s.live.leave(f)
			return nil, err
		}
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer s.live.leave(f)
		s.stream(hc, p, f)
	}}, nil
}

// stream writes what the follower gets until one side ends it.
func (s *Server) stream(hc huma.Context, p principal, f *follower) {
	r, w := raw(hc)
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // the client says nothing more
	w.Header().Set("Content-Type", "text/event-stream")
	hc.SetStatus(http.StatusOK)
	var (
		out     bytes.Buffer
		told    uint64 // of dropped events
		ping    = time.NewTicker(pingEvery)
		comment = ": ping\n\n"
	)
	defer ping.Stop()
	out.WriteString(comment)
	for {
		_ = rc.SetWriteDeadline(time.Now().Add(liveWrite))
		if _, err := w.Write(out.Bytes()); err != nil || rc.Flush() != nil {
			return
		}
		out.Reset()
		select {
		case <-r.Context().Done():
			return
		case <-f.stop:
			return
		case <-ping.C:
			if _, err := s.identify(r.Context(), p.token, p.session); err != nil { // signed out meanwhile
				return
			}
			out.WriteString(comment)
		case rec := <-f.records:
			appendEvent(&out, "record", s.shown(p, rec))
			for range min(len(f.records), maxBurst) {
				appendEvent(&out, "record", s.shown(p, <-f.records))
			}
		}
		if n := f.dropped.Load(); n > told {
			told = n
			appendEvent(&out, "dropped", api.Dropped{Events: n})
		}
	}
}

// shown returns the record as a list shows it to the caller.
func (s *Server) shown(p principal, r *event.Record) *event.Record {
	if p.may(CanContent) {
		return withoutSingles(r)
	}
	return withoutContent(r)
}

// appendEvent writes a server-sent event. JSON has no line ends, which are what such an event must not hold.
func appendEvent(out *bytes.Buffer, name string, data any) {
	b, err := json.Marshal(data)
	if err != nil {
		return // a Record always has a JSON form
	}
	fmt.Fprintf(out, "event: %s\ndata: %s\n\n", name, b)
}
