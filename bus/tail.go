package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/vitrine-ndr/vitrine/event"
)

// tailAhead is how many batches wait in memory for a tail.
const tailAhead = 4

// Tail hands over the events that are published from now on, until ctx is done. Who is slow misses nothing but sees them late.
func (b *Bus) Tail(ctx context.Context, handle func([]*event.Record)) error {
	cons, err := b.js.OrderedConsumer(ctx, streamName, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy})
	if err != nil {
		return fmt.Errorf("tail stream: %w", err)
	}
	messages, err := cons.Messages(jetstream.PullMaxMessages(tailAhead))
	if err != nil {
		return fmt.Errorf("tail stream: %w", err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tail stream: %w", err)
		}
		if records, _, err := b.codec.decode(msg.Data()); err == nil { // the durable consumers report what is undecodable
			handle(records)
		}
	}
}
