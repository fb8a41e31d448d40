package bus

import (
	"encoding/base64"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/run"
)

// noise returns text that does not compress below three quarters.
func noise(seed byte, n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return base64.StdEncoding.EncodeToString(b)[:n]
}

// emit publishes the events through one publisher and returns what arrives.
func emit(t *testing.T, b *Bus, events []*event.Event, want int) map[uint64]*event.Record {
	t.Helper()
	p := b.Publisher(PublisherConfig{Vantage: event.Sensor, Block: true})
	g := run.New(t.Context())
	g.Go("publisher", p.Run)
	for _, e := range events {
		p.Emit(e)
	}
	p.Close()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	got := map[uint64]*event.Record{}
	for _, batch := range consume(t, b, want, nil) {
		for _, r := range batch.Records {
			got[r.HTTP.Tx] = r
		}
	}
	return got
}

// What the parsers let pass is more than NATS takes by default.
func TestLargestEventArrivesWhole(t *testing.T) {
	b, reg := openBus(t, t.TempDir())
	large := testEvent(1, 0)
	large.Body.(*event.HTTP).URL = "/" + noise(1, 1<<20)
	large.Body.(*event.HTTP).Response.Body = []byte(noise(2, 1<<20))
	got := emit(t, b, []*event.Event{testEvent(0, 10), large, testEvent(2, 10)}, 3)
	for tx, want := range map[uint64]*event.Event{1: large, 2: testEvent(2, 10)} {
		if diff := cmp.Diff(want.Body, event.Body(got[tx].HTTP)); diff != "" {
			t.Errorf("event %d: -want +got:\n%s", tx, diff)
		}
	}
	wantCounters(t, reg, map[string]float64{"in_total": 3, "out_total": 3})
}

// smallServer returns the address of a NATS server that takes messages of up to some bytes.
func smallServer(t *testing.T, most int32) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, MaxPayload: most,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

// An event that the bus does not take loses bodies, then headers; those beside it lose nothing.
func TestEventLargerThanTheBusIsCut(t *testing.T) {
	const most = 64 << 10
	url := smallServer(t, most)
	b, reg := openBus(t, "", func(c *Config) { c.External = External{URL: url} })

	body, headers, hopeless := testEvent(1, 0), testEvent(2, 10), testEvent(3, 0)
	body.Body.(*event.HTTP).Response.Body = []byte(noise(1, 4*most))
	body.Body.(*event.HTTP).Response.Headers = []string{"Server: " + noise(2, 1000)}
	headers.Body.(*event.HTTP).Request = &event.Message{Headers: []string{"Host: a", "Cookie: " + noise(3, 4*most), "Accept: b"}}
	hopeless.Body.(*event.HTTP).URL = noise(4, 4*most)
	got := emit(t, b, []*event.Event{testEvent(0, 10), body, headers, hopeless, testEvent(4, 10)}, 4)

	if r := got[1].HTTP.Response; len(r.Body) < most/8 || len(r.Body) >= most || !r.Truncated || len(r.Headers) != 1 || got[1].HTTP.State != "" {
		t.Errorf("large body: %d bytes of it, truncated %v, %d headers, state %q", len(r.Body), r.Truncated, len(r.Headers), got[1].HTTP.State)
	}
	if diff := cmp.Diff([]string{"Host: a", "Accept: b"}, got[2].HTTP.Request.Headers); diff != "" {
		t.Errorf("large header: -want +got:\n%s", diff)
	}
	if h := got[2].HTTP; h.State != event.Truncated || !h.Response.Truncated {
		t.Errorf("large header: state %q, body truncated %v", h.State, h.Response.Truncated)
	}
	for _, tx := range []uint64{0, 4} {
		if diff := cmp.Diff(testEvent(int(tx), 10).Body, event.Body(got[tx].HTTP)); diff != "" {
			t.Errorf("neighbour %d: -want +got:\n%s", tx, diff)
		}
	}
	if n := len(body.Body.(*event.HTTP).Response.Body); n != 4*most {
		t.Errorf("the event itself has %d bytes of its body left", n)
	}
	wantCounters(t, reg, map[string]float64{"in_total": 5, "out_total": 4, "dropped_totaltoo_large": 1, "shrunk_events_total": 2})
}

// Other kinds of events have bodies too.
func TestShrinkCutsEveryBody(t *testing.T) {
	long := make([]byte, 100)
	r := &event.Record{
		WebSocket: &event.WebSocket{Content: event.Content{Body: long}},
		Unknown:   &event.Unknown{ToServer: long, ToClient: long},
	}
	got := shrink(r, sizes{body: 10, headers: 10})
	if w, u := got.WebSocket, got.Unknown; len(w.Body) != 10 || !w.Truncated || len(u.ToServer) != 10 || len(u.ToClient) != 10 {
		t.Errorf("got %+v and %+v", w, u)
	}
	if len(r.WebSocket.Body) != 100 || r.WebSocket.Truncated || len(r.Unknown.ToClient) != 100 {
		t.Error("the record itself was changed")
	}
}

func TestShrinkCutsMails(t *testing.T) {
	lines := []string{"12345678", "not more"}
	r := &event.Record{SMTP: &event.SMTP{RcptTo: lines, State: event.Complete, Message: &event.Mail{
		Headers: lines, Text: &event.Content{Body: make([]byte, 100)}, Content: event.Content{Body: make([]byte, 100)},
	}}}
	got := shrink(r, sizes{body: 10, headers: 10}).SMTP
	m := got.Message
	if len(m.Body) != 10 || !m.Truncated || len(m.Text.Body) != 10 || !m.Text.Truncated || len(m.Headers) != 1 || len(got.RcptTo) != 1 || got.State != event.Truncated {
		t.Errorf("got %+v with %+v", got, m)
	}
	if s := r.SMTP; len(s.RcptTo) != 2 || s.State != event.Complete || len(s.Message.Body) != 100 || len(s.Message.Text.Body) != 100 || len(s.Message.Headers) != 2 {
		t.Error("the record itself was changed")
	}
}
