package store

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/store/query"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// traffic returns events of every kind that the searches below tell apart.
func traffic() []*event.Record {
	rnd := rand.New(rand.NewPCG(5, 6))
	var out []*event.Record
	for i := range 60 {
		r := request(rnd, noon.Add(time.Duration(i)*time.Second)).Record()
		r.HTTP.Status = []uint16{200, 204, 404, 0}[i%4]
		r.Decryption = []flow.Decryption{{State: flow.DecryptedYes, Source: flow.FromKeys}, {State: flow.DecryptedPartial, Source: flow.FromKeys, Reason: flow.GapInRecords}, {}}[i%3]
		out = append(out, r)
	}
	odd := func(i int, kind event.Kind, change func(*event.Record)) {
		r := &event.Record{ID: flow.NewID(noon, 99, uint64(i)), Time: noon.Add(time.Duration(i) * time.Millisecond), Kind: kind,
			Client: flow.Endpoint{IP: netip.MustParseAddr("2001:db8::1"), Port: 1000}, Proto: "udp"}
		change(r)
		out = append(out, r)
	}
	odd(1, event.KindDNS, func(r *event.Record) {
		r.DNS = &event.DNS{Name: "it's.\"odd\"\\.example", Type: "A", Answers: []string{"a 60 A 192.0.2.1", "100%_\\"}}
	})
	odd(2, event.KindDNS, func(r *event.Record) { r.DNS = &event.DNS{Name: "tab\tand\nnewline\x00nul", DurationUS: 1500} })
	odd(3, event.KindTLS, func(r *event.Record) {
		r.TLS, r.Decryption = &flow.TLS{SNI: "Ärger.Example", Resumed: true, PlaintextBytes: 500}, flow.Decryption{State: flow.DecryptedNo, Source: flow.FromKeys, Reason: flow.NoKey}
	})
	odd(4, event.KindTLS, func(r *event.Record) {
		r.TLS, r.Decryption = &flow.TLS{PlaintextBytes: 700, Certificate: &flow.Certificate{NotAfter: noon}}, flow.Decryption{State: flow.DecryptedYes, Source: flow.FromKeys}
	})
	odd(5, event.KindConn, func(r *event.Record) { r.Conn = &event.Conn{Protocols: []string{"tls", "http1"}} })
	odd(6, event.KindWebSocket, func(r *event.Record) {
		r.WebSocket = &event.WebSocket{Opcode: "binary", Content: event.Content{Body: []byte("\xff\xfe {p0:String} 'x'")}}
	})
	odd(7, event.KindUnknown, func(r *event.Record) {
		r.Client.IP, r.Unknown = netip.Addr{}, &event.Unknown{ToServer: []byte("HELLO World")}
	})
	odd(8, event.KindAnomaly, func(r *event.Record) {
		r.Anomaly, r.Process = &event.Anomaly{Code: "http1_bad"}, &flow.Process{PID: 0, UID: 0, Name: "curl"}
	})
	odd(9, event.KindCoverage, func(r *event.Record) {
		r.Client, r.Proto, r.Vantage = flow.Endpoint{}, "", event.Probe
		r.Process, r.Container = &flow.Process{PID: 7, Name: "java", CommandLine: "java -jar shop.jar"}, &flow.Container{Pod: "shop-1"}
		r.Coverage = &event.Coverage{State: event.NotCovered, Reason: event.UnknownLibrary, Detail: "its TLS is Java's own"}
	})
	return out
}

var searches = []string{
	``, `kind:dns`, `not kind:http`, `http.status:200`, `http.status < 300`, `http.status:0`, `not http.status:200`, `http.status:[201 to 404]`,
	`http.host:www1*`, `http.host:*.EXAMPLE.com`, `http.url:*session=*`, `http.url:*s?ssion*`, `host:*example*`, `decrypted:yes`, `decrypted:*`, `not decrypted:*`, `reason:no_key`,
	`client.ip:10.0.0.0/9`, `client.ip:2001:db8::1`, `client.ip:*`, `not client.ip:*`, `ip:198.51.100.0/25`, `port:443`, `client.port > 30000`,
	`tls.resumed:true`, `tls.resumed:false`, `tls.sni:"ärger.example"`, `tls.sni:Ärger.Example`, `dns.name:"it's*"`, `dns.name:*\"odd*`, `dns.name:*\\*`, `dns.answers:"100%_"`,
	`dns.answers:192.0.2.1`, `dns.duration_us > 1ms`, `conn.protocols:tls`, `conn.protocols:t*s`, `body:"{p0:String}"`, `body:"'x'"`, `unknown.to_server:hello`, `hello`, `"'; DROP TABLE events; --"`,
	`time >= 2026-11-20T12:00:30`, `time:2026-11-20T12:00`, `tls.certificate.not_after:*`, `tls.plaintext_bytes > 600b`, `process.uid:0`, `process.name:curl`, `conn_id:00000000000000000000000000000000`,
	`(kind:tls or kind:dns) and not reason:*`, `coverage.state:not_covered`, `coverage.reason:unknown_library`, `coverage.state:covered`, `java's`, `shop.jar`, `container.pod:shop-*`, `http.request.headers:accept`, `curl`, `firefox`, `10.0.0.1`, `community_id:"1:*"`,
}

// The database and Filter.Match must agree on every event.
func TestSearchFindsWhatMatches(t *testing.T) {
	db := openDB(t, Retention{})
	recs := traffic()
	if err := db.Append(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	for _, q := range searches {
		f, err := query.Parse(q)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		var want, got []string
		for _, r := range recs {
			if f.Match(r) {
				want = append(want, r.ID.String())
			}
		}
		p, err := db.Search(t.Context(), Search{Filter: f, Limit: MaxLimit})
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		for _, r := range p.Records {
			got = append(got, r.ID.String())
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -Match +Search:\n%s", q, diff)
		}
	}
}

func TestSearchPages(t *testing.T) {
	db := openDB(t, Retention{})
	var want []*event.Record
	for i := range 250 { // several with one time
		want = append(want, small(uint64(i), noon.Add(time.Duration(i/7)*time.Nanosecond)))
	}
	if err := db.Append(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	seen, pages := map[event.ID]bool{}, 0
	last := noon.Add(time.Hour)
	for cursor := ""; ; pages++ {
		p, err := db.Search(t.Context(), Search{Since: noon, Until: noon.Add(time.Hour), Limit: 20, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			if seen[r.ID] || r.Time.After(last) {
				t.Fatalf("%s comes twice or late", r.ID)
			}
			seen[r.ID], last = true, r.Time
		}
		if err := db.Append(t.Context(), []*event.Record{small(uint64(1000+pages), noon.Add(time.Minute))}); err != nil {
			t.Fatal(err)
		}
		if cursor = p.NextCursor; cursor == "" {
			break
		}
	}
	if len(seen) != len(want) || pages != 12 {
		t.Errorf("%d events on %d pages, want %d on 13", len(seen), pages+1, len(want))
	}
	for _, cursor := range []string{"x", "AAAA", "!!!"} {
		if _, err := db.Search(t.Context(), Search{Cursor: cursor}); !errors.Is(err, ErrCursor) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

func TestHistogram(t *testing.T) {
	db := openDB(t, Retention{})
	if err := db.Append(t.Context(), traffic()); err != nil {
		t.Fatal(err)
	}
	f, err := query.Parse("kind:http")
	if err != nil {
		t.Fatal(err)
	}
	h, err := db.Histogram(t.Context(), f, noon, noon.Add(time.Minute), 6)
	if err != nil {
		t.Fatal(err)
	}
	want := Histogram{Interval: 10 * time.Second}
	for i := range 6 {
		n := uint64(0)
		for s := range 10 {
			if (10*i+s)%3 < 2 {
				n++
			}
		}
		want.Buckets = append(want.Buckets, Bucket{noon.Add(time.Duration(10*i) * time.Second), 10, n})
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := db.Histogram(t.Context(), nil, noon, noon, 6); err == nil {
		t.Error("a period without length gave no error")
	}
}

func TestDivide(t *testing.T) {
	for _, tc := range []struct {
		length time.Duration
		most   int
		step   time.Duration
	}{
		{time.Minute, 60, time.Second}, {time.Hour, 60, time.Minute}, {24 * time.Hour, 60, 30 * time.Minute}, {24 * time.Hour, 24, time.Hour},
		{365 * 24 * time.Hour, 60, 7 * 24 * time.Hour}, {time.Nanosecond, 2, time.Second},
	} {
		s, err := divide(noon, noon.Add(tc.length), tc.most)
		if err != nil || s.step != tc.step || s.n > tc.most || s.start.After(noon) || s.at(s.n).Before(noon.Add(tc.length)) {
			t.Errorf("%s in %d: %+v, %v, want steps of %s", tc.length, tc.most, s, err, tc.step)
		}
	}
}

func TestOverview(t *testing.T) {
	db := openDB(t, Retention{})
	if err := db.Append(t.Context(), traffic()); err != nil {
		t.Fatal(err)
	}
	o, err := db.Overview(t.Context(), noon, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if o.Connections != 1 || o.Transactions != 63 || o.PlaintextBytes != 1200 || o.Coverage.TLS() != 2 || len(o.Trend.Points) != 60 || len(o.TopHosts) != topHosts {
		t.Errorf("overview %+v", o)
	}
	if diff := cmp.Diff(Coverage{Yes: 1, No: 1, Sources: []SourceCount{{flow.FromKeys, 1}}, Reasons: []ReasonCount{{flow.NoKey, 1}}}, o.Coverage); diff != "" {
		t.Errorf("coverage: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(TrendPoint{Time: noon, Connections: 1, Yes: 1, No: 1, PlaintextBytes: 1200}, o.Trend.Points[0]); diff != "" {
		t.Errorf("trend: -want +got:\n%s", diff)
	}
	if o.Kinds[0] != (KindCount{event.KindHTTP, 60}) || len(o.Kinds) != 8 {
		t.Errorf("kinds %v", o.Kinds)
	}
}

func TestTopValues(t *testing.T) {
	db := openDB(t, Retention{})
	if err := db.Append(t.Context(), traffic()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		field, prefix string
		want          []Value
	}{
		{"kind", "", []Value{{"http", 60}, {"dns", 2}, {"tls", 2}}},
		{"kind", "D", []Value{{"dns", 2}}},
		{"http.status", "2", []Value{{"200", 15}, {"204", 15}}},
		{"client.ip", "2001", []Value{{"2001:db8::1", 7}}},
		{"conn.protocols", "", []Value{{"http1", 1}, {"tls", 1}}},
		{"dns.name", "it's", []Value{{`it's."odd"\.example`, 1}}},
		{"http.response.body", "", nil},
		{"reason", "%", nil},
	} {
		got, err := db.TopValues(t.Context(), tc.field, tc.prefix, noon.Add(-time.Hour), 3)
		if err != nil {
			t.Errorf("%s: %v", tc.field, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s %q: -want +got:\n%s", tc.field, tc.prefix, diff)
		}
	}
	// Every field can be asked for.
	for i := range event.Fields {
		if _, err := db.TopValues(t.Context(), event.Fields[i].Name, "x", noon, 3); err != nil {
			t.Errorf("%s: %v", event.Fields[i].Name, err)
		}
	}
	got, err := db.TopValues(t.Context(), "client.ip", "10.", noon, 1)
	if err != nil || len(got) != 1 || netip.MustParseAddr(got[0].Value).Is4() == false {
		t.Errorf("IPv4 address %v, %v", got, err)
	}
	if _, err := db.TopValues(t.Context(), "no.such", "", noon, 3); err == nil {
		t.Error("a field that isn't there gave no error")
	}
}
