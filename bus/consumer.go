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
	maxUnacked  = 64              // batches that may wait for a second try
	settlePoll  = 20 * time.Millisecond
	nakDelay    = 2 * time.Second
	handleGrace = 10 * time.Second // how long a stop waits for the handler
)

// Batch is some events that were published together. The receiver owns it.
type Batch struct {
	Records []*event.Record
	// Redelivered says that the batch may have been handled before: it was delivered before, or it was in the stream
	// when this consumer began.
	Redelivered bool
	Seq         uint64 // number of the batch in the stream
}

// Handler works on a batch. Only after it returned nil is the batch acknowledged; after an error it comes again.
type Handler func(ctx context.Context, b Batch) error

// Consume hands every batch of the stream to handle, one after the other, until ctx is done. Whoever calls it with the same
// durable name later goes on where it ended.
func (b *Bus) Consume(ctx context.Context, durable string, handle Handler) error {
	last, err := b.lastSeq(ctx)
	if err != nil {
		return err
	}
	cons, err := b.consumer(ctx, durable)
	if err != nil {
		return err
	}
	c := &consumer{
		bus: b, durable: durable, handle: handle,
		lastAtStart: last, highest: cons.CachedInfo().Delivered.Stream, failed: map[uint64]bool{},
	}
	for ctx.Err() == nil {
		msg, err := next(ctx, cons)
		switch {
		case err == nil:
			c.take(ctx, msg)
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

// next asks for one batch. Nothing is fetched ahead: what lies in the memory of a program that dies is late for the next.
func next(ctx context.Context, cons jetstream.Consumer) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	return cons.Next(jetstream.FetchContext(ctx))
}

// consumer is one call of Consume.
type consumer struct {
	bus         *Bus
	durable     string
	handle      Handler
	lastAtStart uint64
	highest     uint64          // newest batch that was delivered
	failed      map[uint64]bool // batches that are to come again, at most maxUnacked
}

// take handles one message and tells the server what became of it.
func (c *consumer) take(ctx context.Context, msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		c.terminate(msg, 0, err)
		return
	}
	c.countDiscarded(meta.Sequence.Stream)
	records, err := c.bus.codec.decode(msg.Data())
	if err != nil {
		c.terminate(msg, meta.Sequence.Stream, err)
		return
	}
	batch := Batch{Records: records, Seq: meta.Sequence.Stream, Redelivered: meta.NumDelivered > 1 || meta.Sequence.Stream <= c.lastAtStart}
	if err := c.call(ctx, msg, batch); err != nil {
		c.bus.log.Warn("handle batch: will try again", "consumer", c.durable, "seq", batch.Seq, "events", len(records), "err", err)
		c.failed[batch.Seq] = true
		c.report(msg.NakWithDelay(nakDelay))
		pause(ctx, nakDelay)
		return
	}
	delete(c.failed, batch.Seq)
	c.report(msg.Ack())
}

// call runs the handler, with time to finish when ctx ends, and keeps the message from being delivered to another meanwhile.
func (c *consumer) call(ctx context.Context, msg jetstream.Msg, batch Batch) error {
	ctx, cancel := delayed(ctx, handleGrace)
	defer cancel()
	alive := time.NewTicker(ackWait / 3)
	defer alive.Stop()
	done := make(chan error, 1)
	go func() { done <- run.Protect(func() error { return c.handle(ctx, batch) }) }()
	for {
		select {
		case err := <-done:
			return err
		case <-alive.C:
			c.report(msg.InProgress())
		}
	}
}

// countDiscarded counts the batches that are missing between the newest one and this one. The stream loses its oldest first,
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
	last, err := b.lastSeq(ctx)
	if err != nil {
		return err
	}
	for {
		behind, err := b.behind(ctx, durable, last)
		if err != nil || !behind {
			return err
		}
		if pause(ctx, settlePoll); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// behind tells whether the consumer has not acknowledged the batch yet. What it is still working on counts.
func (b *Bus) behind(ctx context.Context, durable string, seq uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	cons, err := b.js.Consumer(ctx, streamName, durable)
	if err != nil {
		return false, fmt.Errorf("look up consumer %s: %w", durable, err)
	}
	info := cons.CachedInfo()
	return info.AckFloor.Stream < seq && (info.NumPending > 0 || info.NumAckPending > 0), nil
}
