package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/store"
)

// Who may read content leaves one record for each search, however many pages it has.
func TestSearchesAreAudited(t *testing.T) {
	s := withStore(t)
	analyst, admin, viewer := s.analyst(), s.admin(), s.viewer()
	searched := func() (out []string) {
		for _, e := range s.audited() {
			if strings.Contains(e, "content.") {
				out = append(out, e)
			}
		}
		slices.Reverse(out)
		return out
	}
	path := "/api/v1/events?limit=1&q=" + url.QueryEscape("kind:http or kind:tls")
	page, pages := get[api.Events](analyst, path), 1
	cursor := page.NextCursor
	for ; page.NextCursor != ""; pages++ {
		page = get[api.Events](analyst, path+"&cursor="+page.NextCursor)
	}
	want := []string{"ann content.search kind:http or kind:tls ok"}
	if got := searched(); pages != 3 || !slices.Equal(got, want) {
		t.Errorf("%d pages are audited as %q", pages, got)
	}
	get[api.Events](analyst, path)
	get[api.Events](viewer, path)
	get[api.Events](admin, path+"&cursor="+cursor) // of somebody else, and so are the ones that a program makes up
	get[api.Events](analyst, "/api/v1/events?cursor="+cursor)
	want = append(want, want[0], "admin content.search kind:http or kind:tls ok", "ann content.search  ok")
	if got := searched(); !slices.Equal(got, want) {
		t.Errorf("audited %q, want %q", got, want)
	}
}

func TestAuditedSearchesAreForgotten(t *testing.T) {
	x, now := newSearches(1), time.Now()
	x.note("a", now)
	if !x.isAudited("a", now.Add(continueFor-1)) || x.isAudited("a", now.Add(continueFor)) || x.isAudited("b", now) {
		t.Error("a search is not known for as long as it should be")
	}
	for i := range 2 * throttleMax {
		x.note(fmt.Sprint(i), now)
	}
	if len(x.audited) > throttleMax {
		t.Errorf("%d searches are remembered", len(x.audited))
	}
}

// busyStore answers a search when it is released, or never.
type busyStore struct {
	noStore
	begun   chan struct{}
	release chan struct{}
}

func (b busyStore) Search(ctx context.Context, _ store.Search) (store.Page, error) {
	b.begun <- struct{}{}
	select {
	case <-b.release:
		return store.Page{}, nil
	case <-ctx.Done():
		return store.Page{}, ctx.Err()
	}
}

// refusingStore is the engine that sees by itself that a search takes too long.
type refusingStore struct{ noStore }

func (refusingStore) Event(context.Context, event.ID) (*event.Record, error) {
	return nil, fmt.Errorf("read event: %w", &store.Error{Code: storeTooSlow, Message: "Estimated query execution time is too long"})
}

func TestSearchesHaveADeadline(t *testing.T) {
	s := open(t, func(cfg *Config, d *Deps) {
		cfg.SearchTime, d.Events = 50*time.Millisecond, busyStore{begun: make(chan struct{}, 1)}
	})
	if a := s.analyst().do(http.MethodGet, "/api/v1/events", nil); a.status != 504 || a.detail() != slowDetail {
		t.Errorf("got %d %s", a.status, a.body)
	}
	s = open(t, func(_ *Config, d *Deps) { d.Events = refusingStore{} })
	if a := s.analyst().do(http.MethodGet, "/api/v1/events/"+event.ID{1}.String(), nil); a.status != 504 || a.detail() != slowDetail {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestOneAccountDoesNotKeepTheStoreFromOthers(t *testing.T) {
	db := busyStore{begun: make(chan struct{}, 100), release: make(chan struct{})}
	s := open(t, func(cfg *Config, d *Deps) { cfg.Searches, d.Events = 2, db })
	ann, again, vic := s.analyst(), s.analyst(), s.viewer() // ann is there twice
	var all sync.WaitGroup
	search := func(c *client) {
		all.Go(func() {
			if a := c.do(http.MethodGet, "/api/v1/events", nil); a.status != 200 {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
	for range 4 {
		search(ann)
		search(again)
	}
	<-db.begun
	<-db.begun
	search(vic)
	select {
	case <-db.begun:
	case <-time.After(10 * time.Second):
		t.Error("somebody else has to wait")
	}
	time.Sleep(200 * time.Millisecond)
	if n := len(db.begun); n > 0 {
		t.Errorf("%d searches more than allowed were begun", n)
	}
	close(db.release)
	all.Wait()
	if n := len(s.srv.searches.askers); n != 0 {
		t.Errorf("%d accounts are still remembered", n)
	}
}

func TestTooManyWaiting(t *testing.T) {
	x := newSearches(1)
	for range 1 + maxWaiting {
		if _, ok := x.join("ann"); !ok {
			t.Fatal("a place that is free was refused")
		}
	}
	if _, ok := x.turn(t.Context(), "ann"); ok {
		t.Error("one more was admitted")
	}
	done, ok := x.turn(t.Context(), "vic")
	if !ok {
		t.Fatal("somebody else was refused")
	}
	late, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, ok := x.turn(late, "vic"); ok {
		t.Error("a turn was given twice")
	}
	done()
	if len(x.askers) != 1 {
		t.Errorf("%d accounts are remembered", len(x.askers))
	}
}
