package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/store"
)

// withStore starts a server on the real event store with two HTTP events and a TLS one.
func withStore(t *testing.T) *site {
	t.Helper()
	db := engine.Open(t)
	tls := &event.Record{
		ID: event.ID{3}, Time: time.Now().UTC().Add(-time.Minute), Kind: event.KindTLS, ConnID: connID, TLS: &flow.TLS{SNI: "a.example", Version: "TLS 1.3"},
		Decryption: flow.Decryption{State: flow.DecryptedNo, Reason: flow.NoKey}, Process: &curl,
	}
	must(t, db.Append(t.Context(), []*event.Record{httpEvent(1, "a.example"), httpEvent(2, "<script>alert(1)</script>"), tls}))
	return open(t, func(_ *Config, d *Deps) { d.Events = db })
}

// Struct tags can't refer to each other.
func TestKindsAreTheSameEverywhere(t *testing.T) {
	f, _ := reflect.TypeFor[api.KindCount]().FieldByName("Kind")
	kind, _ := event.FieldByName("kind")
	if got, want := f.Tag.Get("enum"), strings.Join(kind.Enum, ","); got != want {
		t.Errorf("the overview has the kinds %s, events have %s", got, want)
	}
}

func TestOverviewNamesSources(t *testing.T) {
	o := overviewOf(store.Overview{Coverage: store.Coverage{Yes: 3, Sources: []store.SourceCount{{Source: flow.FromProbe, Connections: 2}, {Source: flow.FromKeys, Connections: 1}}}}, nil)
	want := []api.SourceCount{{Source: "probe", Connections: 2}, {Source: "keys", Connections: 1}}
	if !slices.Equal(o.Decryption.Sources, want) || o.Decryption.TLS != 3 {
		t.Errorf("got %+v", o.Decryption)
	}
}

func TestEvents(t *testing.T) {
	s := withStore(t)
	analyst, viewer := s.analyst(), s.viewer()
	t.Run("search", func(t *testing.T) {
		page := get[api.Events](analyst, "/api/v1/events?limit=2")
		if len(page.Events) != 2 || page.NextCursor == "" {
			t.Fatalf("got %+v", page)
		}
		for _, r := range page.Events {
			if r.HTTP == nil || r.HTTP.URL != "/secret-url" || r.HTTP.Request.Body != nil || r.HTTP.Request.Headers != nil || r.HTTP.Response.Trailers != nil {
				t.Errorf("an analyst gets %+v", r.HTTP)
			}
		}
		page = get[api.Events](analyst, "/api/v1/events?limit=2&cursor="+page.NextCursor)
		if len(page.Events) != 1 || page.NextCursor != "" || page.Events[0].TLS.SNI != "a.example" {
			t.Errorf("the second page is %+v", page)
		}
		for q, want := range map[string]int{"": 3, "secret-header": 2, "http.status:200": 2, "decrypted:no": 1, "host:a.example": 2, "nothing": 0} {
			if got := get[api.Events](analyst, "/api/v1/events?q="+url.QueryEscape(q)); len(got.Events) != want {
				t.Errorf("%q finds %d events", q, len(got.Events))
			}
		}
	})
	t.Run("what a viewer gets", func(t *testing.T) {
		for _, path := range []string{"/api/v1/events", "/api/v1/events/" + event.ID{1}.String(), "/api/v1/complete?q=http.url:&pos=9"} {
			a := viewer.do(http.MethodGet, path, nil)
			if a.status != 200 || strings.Contains(a.body, "secret") || strings.Contains(a.body, "c2VjcmV0") {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
		if got := get[api.Events](viewer, "/api/v1/events?q=secret"); len(got.Events) != 0 {
			t.Errorf("a word finds content: %+v", got)
		}
		a := viewer.do(http.MethodGet, "/api/v1/events/histogram?q=body:s*", nil)
		if a.status != 422 || !strings.Contains(a.detail(), "may not search") {
			t.Errorf("a field of content: %d %s", a.status, a.body)
		}
	})
	t.Run("one event", func(t *testing.T) {
		path := "/api/v1/events/" + event.ID{2}.String()
		r := get[event.Record](analyst, path)
		if string(r.HTTP.Request.Body) != "secret-body" || r.HTTP.Request.Headers == nil || r.HTTP.Response.Trailers == nil || r.HTTP.Host != "<script>alert(1)</script>" {
			t.Errorf("got %+v", r.HTTP)
		}
		if !slices.Contains(s.audited(), "ann content.view "+event.ID{2}.String()+" ok") {
			t.Errorf("audited %q", s.audited())
		}
		for id, want := range map[string]int{strings.Repeat("f", 32): 404, "x": 422} {
			if a := analyst.do(http.MethodGet, "/api/v1/events/"+id, nil); a.status != want {
				t.Errorf("%s: %d %s", id, a.status, a.body)
			}
		}
	})
	t.Run("counts", func(t *testing.T) {
		h := get[api.Histogram](analyst, "/api/v1/events/histogram?since=1h&buckets=10")
		var n uint64
		for _, b := range h.Buckets {
			n += b.Count
		}
		if n != 3 || h.IntervalS <= 0 {
			t.Errorf("got %+v", h)
		}
		o := get[api.Overview](viewer, "/api/v1/overview?since=all")
		if o.Decryption.TLS != 1 || o.Decryption.No != 1 || len(o.Decryption.Reasons) != 1 || o.Decryption.Reasons[0].Reason != "no_key" {
			t.Errorf("got %+v", o)
		}
		sys := get[api.System](viewer, "/api/v1/system")
		if !sys.Store.OK || sys.Store.Events != 3 || len(sys.Counters) == 0 {
			t.Errorf("got %+v", sys)
		}
	})
	t.Run("completion", func(t *testing.T) {
		c := get[api.Completion](analyst, "/api/v1/complete?q=http.host:a&pos=11")
		if c.From != 10 || c.To != 11 || !slices.Contains(c.Options, api.Option{Label: "a.example", Type: "value", Detail: "1 events"}) {
			t.Errorf("got %+v", c)
		}
		c = get[api.Completion](analyst, "/api/v1/complete?q=decrypted:&pos=10")
		if len(c.Options) == 0 || c.Options[0] != (api.Option{Label: "yes", Type: "value"}) {
			t.Errorf("got %+v", c)
		}
		if a := analyst.do(http.MethodGet, "/api/v1/complete?q=http.request.headers:&pos=21", nil); strings.Contains(a.body, "secret") {
			t.Errorf("headers are given out as completions: %s", a.body)
		}
	})
}

func TestMistakesInASearchSayWhere(t *testing.T) {
	s := open(t, nil)
	a := s.analyst().do(http.MethodGet, "/api/v1/events?q="+url.QueryEscape("a htp.status:4"), nil)
	var p struct {
		Status int
		Errors []struct {
			Message, Location string
			Value             struct {
				Start, End int
				Suggestion string
			}
		}
	}
	must(t, json.Unmarshal([]byte(a.body), &p))
	if a.status != 422 || len(p.Errors) != 1 || p.Errors[0].Location != "query.q" || p.Errors[0].Value.Start != 2 || p.Errors[0].Value.End != 12 || p.Errors[0].Value.Suggestion != "http.status" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestStoreThatIsDown(t *testing.T) {
	s := open(t, nil)
	c := s.analyst()
	for _, path := range []string{"/api/v1/events", "/api/v1/events/histogram", "/api/v1/overview", "/api/v1/events/" + event.ID{1}.String(), "/api/v1/complete?q=http.host:&pos=10", "/api/v1/overview?since=all"} {
		if a := c.do(http.MethodGet, path, nil); a.status != 503 || a.detail() != unavailableDetail {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if sys := get[api.System](c, "/api/v1/system"); sys.Store.OK || sys.Store.Error == "" {
		t.Errorf("got %+v", sys.Store)
	}
}

func TestPeriods(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		since, until string
		from, to     time.Time
		ok           bool
	}{
		{"24h", "", now.Add(-24 * time.Hour), time.Time{}, true},
		{"7d", "15m", now.Add(-7 * 24 * time.Hour), now.Add(-15 * time.Minute), true},
		{"90s", "now", now.Add(-90 * time.Second), time.Time{}, true},
		{"all", "2026-11-20T00:00:00Z", time.Time{}, now.Add(-12 * time.Hour), true},
		{"2026-11-20T01:00:00+01:00", "", now.Add(-12 * time.Hour), time.Time{}, true},
		{"15m", "1h", time.Time{}, time.Time{}, false},
		{"yesterday", "", time.Time{}, time.Time{}, false},
		{"999999d", "", time.Time{}, time.Time{}, false},
		{"24h", "0001-01-01T00:00:00Z", time.Time{}, time.Time{}, false},
		{"-5m", "", time.Time{}, time.Time{}, false},
	} {
		from, to, err := Period{tc.since, tc.until}.times(now)
		if (err == nil) != tc.ok || tc.ok && (!from.Equal(tc.from) || !to.Equal(tc.to)) {
			t.Errorf("%q to %q: %v to %v, %v", tc.since, tc.until, from, to, err)
		}
	}
}

func TestPackets(t *testing.T) {
	s := open(t, nil)
	path := "/api/v1/conns/" + connID.String() + "/packets"
	admin, analyst := s.admin(), s.analyst()
	for _, tc := range []struct {
		name string
		*client
		query string
		want  int
		keys  bool
	}{
		{"as captured", analyst, "", 200, false},
		{"plaintext", analyst, "?form=after", 200, false},
		{"keys without permission", analyst, "?keys=true", 403, false},
		{"keys", admin, "?keys=true", 200, true},
		{"keys for plaintext", admin, "?form=after&keys=true", 422, false},
		{"another form", admin, "?form=x", 422, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := tc.do(http.MethodGet, path+tc.query, nil)
			if a.status != tc.want || strings.Contains(a.body, "CLIENT_RANDOM") != tc.keys {
				t.Fatalf("got %d %q", a.status, a.body)
			}
			if a.status != 200 {
				return
			}
			if a.header.Get("Content-Type") != "application/x-pcapng" || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment; filename=\""+connID.String()) {
				t.Errorf("headers %v", a.header)
			}
			if !strings.HasPrefix(a.body, "\x0a\x0d\x0d\x0a") || !strings.Contains(a.body, "pkt") {
				t.Errorf("got %q", a.body)
			}
		})
	}
	if a := admin.do(http.MethodGet, strings.Replace(path, "07", "08", 1), nil); a.status != 404 || a.detail() == "" {
		t.Errorf("another connection: %d %s", a.status, a.body)
	}
	got := s.audited()
	for _, want := range []string{"ann packets.download %s ok", "ann packets.download_plaintext %s ok", "ann packets.download_with_keys %s denied", "admin packets.download_with_keys %s ok"} {
		if !slices.Contains(got, strings.Replace(want, "%s", connID.String(), 1)) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestWithoutLeavesTheRecordAlone(t *testing.T) {
	r := httpEvent(1, "a")
	before, err := json.Marshal(r)
	must(t, err)
	for _, out := range []*event.Record{withoutContent(r), withoutSingles(r)} {
		if out.HTTP == nil || out.HTTP.Request == nil || out.HTTP.Host != "a" || out.HTTP.Request.Size != 11 || out.HTTP.Request.Body != nil {
			t.Errorf("got %+v", out.HTTP)
		}
	}
	if after, err := json.Marshal(r); err != nil || string(before) != string(after) {
		t.Errorf("the record changed: %s", after)
	}
	for i := range event.Fields {
		f := &event.Fields[i]
		if v := f.Value(withoutContent(r)); isContent(f) && v.IsValid() && !v.IsZero() {
			t.Errorf("%s is still there", f.Name)
		}
	}
}
