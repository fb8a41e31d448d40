package server

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/server/api"
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
	x, now := newSearches(), time.Now()
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
