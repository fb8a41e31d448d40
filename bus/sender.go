package bus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/vitrine-ndr/vitrine/event"
)

const (
	inFlight   = 4 // batches that wait for their acknowledgement
	retryFirst = 100 * time.Millisecond
	retryMax   = 5 * time.Second
)

// sender has the batch that grows and the batches that are on their way. One goroutine uses it.
type sender struct {
	publisher *Publisher
	line      bytes.Buffer // the newest event
	lines     bytes.Buffer
	events    int
	bytes     int // of the budget
	slots     chan struct{}
	wg        sync.WaitGroup
}

// add takes an event into the batch. Where the two would be too large together the batch is sent first, so that no event costs
// another one its place.
func (s *sender) add(ctx context.Context, item pending) {
	room := s.publisher.bus.payloadRoom()
	most := min(room, batchBytes)
	if reason := s.encode(item.record, room); reason != "" {
		s.publisher.bus.stage.Drop(reason, 1)
		s.publisher.budget.give(item.bytes)
		return
	}
	if s.lines.Len()+s.line.Len() > most {
		s.send(ctx)
	}
	s.lines.Write(s.line.Bytes())
	s.events++
	s.bytes += item.bytes
	if s.lines.Len() >= most {
		s.send(ctx)
	}
}

// encode makes the line of a record that has room in a message of its own, for which it leaves out what it must. Where that is not
// enough it returns the reason to drop it.
func (s *sender) encode(r *event.Record, room int) (reason string) {
	bus := s.publisher.bus
	for step, most := range shrinking(room) {
		s.line.Reset()
		if err := appendLine(&s.line, shrink(r, most)); err != nil {
			return dropEncoding
		}
		if s.line.Len() > min(room, batchBytes) && len(bus.codec.encode(s.line.Bytes())) > room {
			continue
		}
		if step > 0 {
			bus.shrunk.Inc()
			bus.log.Warn("event was too large for the bus and is cut", "event", r.ID, "bytes", s.line.Len())
		}
		return ""
	}
	bus.log.Error("event is larger than the bus takes", "event", r.ID, "bytes", s.line.Len())
	return dropTooLarge
}

// send publishes the batch, if there is one, as soon as fewer than inFlight others are on their way.
func (s *sender) send(ctx context.Context) {
	if s.events == 0 {
		return
	}
	payload, events, reserved := s.publisher.bus.codec.encode(s.lines.Bytes()), s.events, s.bytes
	s.lines.Reset()
	s.events, s.bytes = 0, 0
	s.slots <- struct{}{}
	s.wg.Go(func() {
		defer func() { <-s.slots }()
		defer s.publisher.budget.give(reserved)
		s.publisher.publish(ctx, payload, events)
	})
}

// publish tries until the stream has the payload. The message id makes a repetition harmless.
func (p *Publisher) publish(ctx context.Context, payload []byte, events int) {
	sum := sha256.Sum256(payload)
	id := hex.EncodeToString(sum[:16])
	for wait := retryFirst; ; wait = min(2*wait, retryMax) {
		began := time.Now()
		err := p.try(ctx, payload, id)
		switch {
		case err == nil:
			p.bus.health.note(nil, began)
			p.bus.stage.Out.Add(float64(events))
			return
		case errors.Is(err, nats.ErrMaxPayload):
			p.bus.log.Error("batch is larger than the bus takes", "events", events, "bytes", len(payload))
			p.bus.stage.Drop(dropTooLarge, events)
			return
		case ctx.Err() != nil:
			p.bus.health.note(nil, began) // others, if there are any, find out by themselves
			p.bus.log.Error("events could not be published before the end", "events", events, "err", err)
			p.bus.stage.Drop(dropUnpublished, events)
			return
		}
		p.bus.health.note(err, began)
		p.bus.log.Warn("publish events: will try again", "events", events, "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		p.bus.revive(ctx)
	}
}

func (p *Publisher) try(ctx context.Context, payload []byte, id string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, requestWait, errUnconfirmed)
	defer cancel()
	_, err := p.bus.js.Publish(ctx, p.subject, payload, jetstream.WithMsgID(id), jetstream.WithExpectStream(streamName))
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// errUnconfirmed is what an embedded server that can't write and a server that is overloaded have in common.
var errUnconfirmed = errors.New("the bus does not confirm that it has events on disk")
