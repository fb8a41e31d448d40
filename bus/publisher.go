package bus

import (
	"context"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/queue"
)

const (
	batchWait = 200 * time.Millisecond // how long an event waits for others
	queued    = 1 << 16                // events between Emit and the batch; their bytes are bounded by MaxPending
	stopGrace = 10 * time.Second       // how long a stop tries to publish what is left
)

// Reasons for which an event is dropped.
const (
	dropFull        = "queue_full"  // the bus is slower than the source
	dropStopped     = "stopped"     // emitted after the publisher had ended
	dropEncoding    = "encoding"    // no JSON can hold it
	dropTooLarge    = "too_large"   // larger than the server takes, even without bodies and headers
	dropUnpublished = "unpublished" // the bus could not be reached until the program ended
)

var dropReasons = []string{dropFull, dropStopped, dropEncoding, dropTooLarge, dropUnpublished}

// PublisherConfig says how one source of events publishes.
type PublisherConfig struct {
	Vantage event.Vantage
	// Block makes Emit wait for room. A live source must not: what it can't hand on is dropped and counted.
	Block bool
	// MaxPending bounds the memory of events that are not acknowledged yet; 0 is 64 MiB.
	MaxPending int
}

// Publisher collects events into batches and publishes each until it is acknowledged.
type Publisher struct {
	bus     *Bus
	subject string
	block   bool
	queue   *queue.Queue[pending]
	budget  *budget
}

// pending is an event on its way, and the memory that was reserved for it.
type pending struct {
	record *event.Record
	bytes  int
}

// Publisher returns a new publisher. Its Run must be running for Emit to get anywhere.
func (b *Bus) Publisher(cfg PublisherConfig) *Publisher {
	if cfg.MaxPending == 0 {
		cfg.MaxPending = 64 << 20
	}
	return &Publisher{
		bus: b, subject: subjectPrefix + string(cfg.Vantage), block: cfg.Block,
		queue: queue.New[pending](queued), budget: newBudget(cfg.MaxPending),
	}
}

// Emit hands an event over. It may be called concurrently; it copies what it keeps.
func (p *Publisher) Emit(e *event.Event) {
	p.bus.stage.In.Inc()
	r := e.Record()
	item := pending{r, weight(r)}
	switch {
	case !p.budget.take(item.bytes, p.block):
		p.refuse()
	case p.block && !p.queue.Put(item), !p.block && !p.queue.Offer(item):
		p.budget.give(item.bytes)
		p.refuse()
	}
}

func (p *Publisher) refuse() {
	if p.block { // then only the end of the publisher is a reason
		p.bus.stage.Drop(dropStopped, 1)
		return
	}
	p.bus.stage.Drop(dropFull, 1)
}

// weight estimates the memory of a record: its parts, and what can be large.
func weight(r *event.Record) int {
	n := 2048
	if h := r.HTTP; h != nil {
		n += len(h.URL) + messageWeight(h.Request) + messageWeight(h.Response)
	}
	if w := r.WebSocket; w != nil {
		n += len(w.Body)
	}
	if s := r.SMTP; s != nil {
		n += listWeight(s.Commands) + listWeight(s.RcptTo)
		if m := s.Message; m != nil {
			n += len(m.Body) + listWeight(m.Headers)
			if m.Text != nil {
				n += len(m.Text.Body)
			}
		}
	}
	if u := r.Unknown; u != nil {
		n += len(u.ToServer) + len(u.ToClient)
	}
	return n
}

func messageWeight(m *event.Message) int {
	if m == nil {
		return 0
	}
	return len(m.Body) + listWeight(m.Headers)
}

func listWeight(lines []string) (n int) {
	for _, l := range lines {
		n += len(l)
	}
	return n
}

// Close ends the source's side: Run returns once everything that was emitted before is acknowledged.
func (p *Publisher) Close() { p.queue.Close() }

// Run publishes until Close. After the end of ctx it still publishes what is emitted, for up to 10 s in all.
func (p *Publisher) Run(ctx context.Context) error {
	defer p.budget.close()
	defer p.queue.Leave()
	ctx, cancel := delayed(ctx, stopGrace)
	defer cancel()
	s := &sender{publisher: p, slots: make(chan struct{}, inFlight)}
	defer s.wg.Wait()
	tick := time.NewTicker(batchWait)
	defer tick.Stop()
	for {
		select {
		case item, ok := <-p.queue.Items():
			if !ok {
				s.send(ctx)
				return nil
			}
			s.add(ctx, item)
		case <-tick.C:
			s.send(ctx)
		case <-ctx.Done():
			s.send(ctx)
			p.abandon()
			return nil
		}
	}
}

// abandon counts what no longer can be published.
func (p *Publisher) abandon() {
	p.queue.Leave()
	p.queue.Close()
	for item := range p.queue.All() {
		p.budget.give(item.bytes)
		p.bus.stage.Drop(dropUnpublished, 1)
	}
}

// delayed returns a context that ends some time after its parent.
func delayed(parent context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		select {
		case <-time.After(by):
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { stop(); cancel() }
}
