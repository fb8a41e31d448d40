package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/run"
)

const (
	// ackWait is how long the server waits for a sign of life before it delivers a batch again: also how late the batch comes that
	// was being handled when a program was killed.
	ackWait     = 10 * time.Second
	pullWait    = 5 * time.Second // length of one request for a batch
	settlePoll  = 20 * time.Millisecond
	nakDelay    = 2 * time.Second
	handleGrace = 10 * time.Second // how long a stop waits for the handler
	maxUnacked  = 4 * gatherMost   // messages that are being handled or wait for a second try
)

// What a batch may gather. A store works several times faster in thousands of events than in hundreds.
const (
	gatherBytes  = 8 << 20 // of JSON; the last message may exceed it
	gatherEvents = 10_000
	gatherMost   = 64 // messages
	gatherWait   = 100 * time.Millisecond
	gatherPoll   = 5 * time.Millisecond // for what is there already, once gatherWait is over
)

// Batch is the events of some messages of the stream. The receiver owns it.
type Batch struct {
	Records []*event.Record
	// Redelivered says that some of it may have been handled before: it was delivered before, or it was in the stream
	// when this consumer began.
	Redelivered bool
	Seq         uint64 // number of the newest message in the stream
}

// Handler works on a batch. Only after it returned nil is the batch acknowledged; after an error it comes again.
type Handler func(ctx context.Context, b Batch) error

// Consume hands all events of the stream to handle, one batch after the other, until ctx is done. Whoever calls it with the
// same durable name later goes on where it ended.
func (b *Bus) Consume(ctx context.Context, durable string, handle Handler) error {
	state, err := b.streamState(ctx)
	if err != nil {
		return err
	}
	cons, err := b.consumer(ctx, durable)
	if err != nil {
		return err
	}
	c := &consumer{
		bus: b, cons: cons, durable: durable, handler: handle,
		lastAtStart: state.LastSeq, highest: cons.CachedInfo().Delivered.Stream, failed: map[uint64]bool{},
	}
	for ctx.Err() == nil {
		first, err := c.next(ctx)
		switch {
		case err == nil:
			c.handle(ctx, c.gather(first))
		case errors.Is(err, jetstream.ErrConsumerDeleted):
			return fmt.Errorf("read stream as %s: %w", durable, err)
		case ctx.Err() == nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded):
			b.log.Warn("read stream: will try again", "consumer", durable, "err", err)
			pause(ctx, retryFirst)
		}
	}
	// The server must know that the last request is void before another consumer takes over.
	_ = b.nc.FlushTimeout(requestWait)
	return nil
}

func (b *Bus) consumer(ctx context.Context, durable string) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	cons, err := b.js.CreateOrUpdateConsumer(ctx, streamName, jetstream.ConsumerConfig{
		Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait: ackWait, MaxDeliver: -1, MaxAckPending: maxUnacked,
	})
	if err != nil {
		return nil, fmt.Errorf("make consumer %s: %w", durable, err)
	}
	return cons, nil
}

// consumer is one call of Consume.
type consumer struct {
	bus         *Bus
	cons        jetstream.Consumer
	durable     string
	handler     Handler
	lastAtStart uint64
	highest     uint64          // newest message that was delivered
	failed      map[uint64]bool // messages that are to come again, at most maxUnacked
	held        *delivery       // was fetched while others were gathered, and is not to be among them
}

// delivery is a message with events, which waits for its acknowledgement.
type delivery struct {
	jetstream.Msg
	records []*event.Record
	bytes   int // of JSON
	seq     uint64
	again   bool // it was delivered before, as far as the server or this consumer knows
}

// next returns the message that was held back, or waits for a new one.
func (c *consumer) next(ctx context.Context) (*delivery, error) {
	if d := c.held; d != nil {
		c.held = nil
		return d, nil
	}
	ctx, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	return c.fetch(jetstream.FetchContext(ctx))
}

// fetch asks for one message that can be read. Not more are fetched than are handled next: what lies in the memory of a
// program that dies is late for its successor.
func (c *consumer) fetch(option jetstream.FetchOpt) (*delivery, error) {
	for {
		msg, err := c.cons.Next(option)
		if err != nil {
			return nil, err
		}
		if d := c.open(msg); d != nil {
			return d, nil
		}
	}
}

// open decodes a message, or gives it up and returns nil.
func (c *consumer) open(msg jetstream.Msg) *delivery {
	meta, err := msg.Metadata()
	if err != nil {
		c.terminate(msg, 0, err)
		return nil
	}
	seq := meta.Sequence.Stream
	// A server that starts anew may have forgotten what it delivered.
	again := meta.NumDelivered > 1 || seq <= c.highest
	c.countDiscarded(seq)
	records, size, err := c.bus.codec.decode(msg.Data())
	if err != nil {
		c.terminate(msg, seq, err)
		return nil
	}
	return &delivery{msg, records, size, seq, again}
}

// gather adds to a message what else waits in the stream or comes in the next moment. What failed before comes alone, so
// that what can't be handled does not hold up the rest.
func (c *consumer) gather(first *delivery) []*delivery {
	group := []*delivery{first}
	events, size := len(first.records), first.bytes
	end := time.Now().Add(gatherWait)
	for !first.again && events < gatherEvents && size < gatherBytes && len(group) < gatherMost {
		// Not by a context: a message that came to a request just given up would be late by ackWait.
		d, err := c.fetch(jetstream.FetchMaxWait(max(time.Until(end), gatherPoll)))
		if err != nil {
			break // nothing is there, or the next request fails in the same way
		}
		if d.again {
			c.held = d
			break
		}
		group = append(group, d)
		events += len(d.records)
		size += d.bytes
	}
	return group
}

// handle hands over a group of messages as one batch and tells the server what became of them.
func (c *consumer) handle(ctx context.Context, group []*delivery) {
	var batch Batch
	for _, d := range group {
		batch.Records = append(batch.Records, d.records...)
		batch.Redelivered = batch.Redelivered || d.again || d.seq <= c.lastAtStart
		batch.Seq = max(batch.Seq, d.seq)
	}
	events := len(batch.Records)
	err := c.call(ctx, group, batch)
	if err != nil {
		c.bus.log.Warn("handle batch: will try again", "consumer", c.durable, "seq", batch.Seq, "messages", len(group), "events", events, "err", err)
	}
	for _, d := range group {
		if err != nil {
			c.failed[d.seq] = true
			c.report(d.NakWithDelay(nakDelay))
		} else {
			delete(c.failed, d.seq)
			c.report(d.Ack())
		}
	}
	if err != nil {
		pause(ctx, nakDelay)
	}
}

// call runs the handler, with time to finish when ctx ends, and keeps the messages from being delivered to another meanwhile.
func (c *consumer) call(ctx context.Context, group []*delivery, batch Batch) error {
	ctx, cancel := delayed(ctx, handleGrace)
	defer cancel()
	alive := time.NewTicker(ackWait / 3)
	defer alive.Stop()
	done := make(chan error, 1)
	go func() { done <- run.Protect(func() error { return c.handler(ctx, batch) }) }()
	for {
		select {
		case err := <-done:
			return err
		case <-alive.C:
			c.inProgress(group)
		}
	}
}

// inProgress tells the server that the messages are being worked on, and the one that is held back soon will be.
func (c *consumer) inProgress(group []*delivery) {
	for _, d := range group {
		c.report(d.InProgress())
	}
	if c.held != nil {
		c.report(c.held.InProgress())
	}
}

// countDiscarded counts the messages that are missing between the newest one and this one. The stream loses its oldest first,
// so those that were to come again are gone with them.
func (c *consumer) countDiscarded(seq uint64) {
	if seq > c.highest+1 {
		n := seq - c.highest - 1 + uint64(len(c.failed))
		clear(c.failed)
		c.bus.discarded.Add(float64(n))
		c.bus.log.Error("the bus was full: its oldest batches are lost", "consumer", c.durable, "batches", n)
	}
	c.highest = max(c.highest, seq)
}

// terminate gives up a batch that will never be readable, so that it can't block the others.
func (c *consumer) terminate(msg jetstream.Msg, seq uint64, cause error) {
	c.bus.poison.Inc()
	c.bus.log.Error("batch can't be read and is given up", "consumer", c.durable, "seq", seq, "bytes", len(msg.Data()), "err", cause)
	c.report(msg.TermWithReason("undecodable"))
}

// report logs that the server was not told: it will deliver the message again.
func (c *consumer) report(err error) {
	if err != nil {
		c.bus.log.Warn("acknowledge batch", "consumer", c.durable, "err", err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Settle waits until the consumer has acknowledged everything that is in the stream now.
func (b *Bus) Settle(ctx context.Context, durable string) error {
	state, err := b.streamState(ctx)
	if err != nil {
		return err
	}
	for {
		behind, err := b.behind(ctx, durable, state.LastSeq)
		slow := errors.Is(err, context.DeadlineExceeded) // the server is busy, perhaps with what is waited for
		if !slow && (err != nil || !behind) {
			return err
		}
		if pause(ctx, settlePoll); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// behind tells whether the consumer has not acknowledged the batch yet. What it is still working on counts; what the stream has
// lost, at either end, does not. The server's number of pending messages is no help: it is told of a new message a moment after the publisher is.
func (b *Bus) behind(ctx context.Context, durable string, seq uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	cons, err := b.js.Consumer(ctx, streamName, durable)
	if err != nil {
		return false, fmt.Errorf("look up consumer %s: %w", durable, err)
	}
	info := cons.CachedInfo()
	if info.AckFloor.Stream >= seq {
		return false, nil
	}
	if info.NumAckPending > 0 {
		return true, nil
	}
	if info.Delivered.Stream >= seq {
		return false, nil
	}
	state, err := b.streamState(ctx)
	return state.FirstSeq <= seq && seq <= state.LastSeq, err
}
