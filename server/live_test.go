package server

import (
	"bufio"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/store/query"
)

// httpEvent returns an event whose content is told from its facts by the word secret.
func httpEvent(n byte, host string) *event.Record {
	return &event.Record{
		ID: event.ID{n}, Time: time.Now().UTC(), Kind: event.KindHTTP, ConnID: connID,
		HTTP: &event.HTTP{
			Method: "GET", Host: host, URL: "/secret-url", Referer: "secret-referer", Status: 200,
			Request:  &event.Message{Headers: []string{"cookie: secret-header"}, Content: event.Content{Size: 11, Body: []byte("secret-body")}},
			Response: &event.Message{Trailers: []string{"x: secret-trailer"}, Content: event.Content{Type: "text/plain"}},
		},
	}
}

// follow opens a live tail and returns its lines.
func (c *client) follow(path string) *bufio.Scanner {
	c.t.Helper()
	res, err := c.http.Do(c.request(http.MethodGet, path, nil))
	must(c.t, err)
	c.t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		c.t.Fatalf("%s: %d %s", path, res.StatusCode, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return lines
}

// until returns the first line that contains the text.
func until(t testing.TB, lines *bufio.Scanner, text string) string {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return lines.Text()
		}
	}
	t.Fatalf("the stream ended before %q: %v", text, lines.Err())
	return ""
}

func TestLiveTailShowsMatchesAsTheRoleMaySeeThem(t *testing.T) {
	s := open(t, nil)
	analyst := s.analyst().follow("/api/v1/events/live?q=http.host:a.example")
	<-s.tail.up
	viewer := s.viewer().follow("/api/v1/events/live?q=example")
	until(t, viewer, ": ping")
	s.tail.publish(httpEvent(1, "b.example\n\ndata: x"), httpEvent(2, "a.example"))
	seen := until(t, analyst, "data:")
	for text, want := range map[string]bool{"secret-url": true, "secret-header": false, "secret-trailer": false, "c2VjcmV0": false, `"id":"02`: true} {
		if strings.Contains(seen, text) != want {
			t.Errorf("the analyst sees %s", seen)
		}
	}
	if got := s.audited(); !slices.Contains(got, "ann content.follow http.host:a.example ok") || slices.ContainsFunc(got, func(e string) bool { return strings.HasPrefix(e, "vic content") }) {
		t.Errorf("audited %q", got)
	}
	for _, id := range []string{`"id":"01`, `"id":"02`} {
		if seen := until(t, viewer, "data:"); strings.Contains(seen, "secret") || strings.Contains(seen, "c2VjcmV0") || !strings.Contains(seen, id) || !strings.Contains(seen, `"status":200`) {
			t.Errorf("the viewer sees %s", seen)
		}
	}
	if a := s.viewer().do(http.MethodGet, "/api/v1/events/live?q=http.url:secret", nil); a.status != 422 {
		t.Errorf("a viewer searches content: %d %s", a.status, a.body)
	}
}

func TestSlowFollowersAreTold(t *testing.T) {
	s := open(t, func(cfg *Config, _ *Deps) { cfg.LiveBuffer = 10 })
	lines := s.analyst().follow("/api/v1/events/live")
	<-s.tail.up
	until(t, lines, ": ping")
	records := make([]*event.Record, 100_000)
	for i := range records {
		records[i] = httpEvent(1, strings.Repeat("x", 200))
	}
	begin := time.Now()
	s.tail.publish(records...)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("a slow follower held up the others for %v", took)
	}
	until(t, lines, "event: dropped")
	if line := until(t, lines, "data:"); line == `data: {"events":0}` || !strings.HasPrefix(line, `data: {"events":`) {
		t.Errorf("got %s", line)
	}
	if s.srv.live.dropped.Load() == 0 {
		t.Error("nothing was counted")
	}
}

func TestHubAdmitsAFewAndNobodyAfterItsEnd(t *testing.T) {
	f, err := query.Parse("")
	must(t, err)
	h := newHub(2, 1)
	a, ok := h.join(f)
	if !ok {
		t.Fatal("the first was refused")
	}
	if _, ok := h.join(f); !ok {
		t.Fatal("the second was refused")
	}
	if _, ok := h.join(f); ok {
		t.Error("the third was admitted")
	}
	h.leave(a)
	if _, ok := h.join(f); !ok {
		t.Error("a place that is free was refused")
	}
	h.close()
	h.close()
	if _, ok := h.join(f); ok {
		t.Error("one was admitted after the end")
	}
}

func TestBusIsReadOnlyWhileSomebodyFollows(t *testing.T) {
	s := open(t, nil)
	c := s.analyst()
	for range 3 { // comes back after everybody has left
		res, err := c.http.Do(c.request(http.MethodGet, "/api/v1/events/live", nil))
		must(t, err)
		<-s.tail.up
		must(t, res.Body.Close())
		for range 500 {
			if !s.srv.live.followed() {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if s.srv.live.followed() {
			t.Fatal("a follower that left is still there")
		}
	}
	select {
	case <-s.tail.up:
		t.Error("the bus is read for nobody")
	default:
	}
}
