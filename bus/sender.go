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
)

const (
	inFlight   = 4 // batches that wait for their acknowledgement
	retryFirst = 100 * time.Millisecond
	retryMax   = 5 * time.Second
)

// sender has the batch that grows and the batches that are on their way. One goroutine uses it.
type sender struct {
	publisher *Publisher
	lines     bytes.Buffer
	events    int
	bytes     int // of the budget
	slots     chan struct{}
	wg        sync.WaitGroup
}

func (s *sender) add(item pending) {
	if err := appendLine(&s.lines, item.record); err != nil {
		s.publisher.bus.stage.Drop(dropEncoding, 1)
		s.publisher.budget.give(item.bytes)
		return
	}
	s.events++
	s.bytes += item.bytes
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
		err := p.try(ctx, payload, id)
		switch {
		case err == nil:
			p.bus.stage.Out.Add(float64(events))
			return
		case errors.Is(err, nats.ErrMaxPayload):
			p.bus.log.Error("batch is larger than the bus takes", "events", events, "bytes", len(payload))
			p.bus.stage.Drop(dropTooLarge, events)
			return
		case ctx.Err() != nil:
			p.bus.log.Error("events could not be published before the end", "events", events, "err", err)
			p.bus.stage.Drop(dropUnpublished, events)
			return
		}
		p.bus.log.Warn("publish events: will try again", "events", events, "err", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

func (p *Publisher) try(ctx context.Context, payload []byte, id string) error {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	_, err := p.bus.js.Publish(ctx, p.subject, payload, jetstream.WithMsgID(id), jetstream.WithExpectStream(streamName))
	return err
}
