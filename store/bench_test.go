package store

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/vitrine-ndr/vitrine/bus"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/run"
	"github.com/vitrine-ndr/vitrine/store/query"
)

// request returns an HTTP event as a web server's traffic has them: some 1.8 KB in its JSON form.
func request(rnd *rand.Rand, at time.Time) *event.Event {
	conn := flow.NewConn(flow.Seed(rnd.Uint64()), flow.Tuple{
		Proto:  flow.TCP,
		Client: flow.Endpoint{IP: netip.AddrFrom4([4]byte{10, byte(rnd.IntN(4)), byte(rnd.IntN(256)), byte(rnd.IntN(256))}), Port: uint16(1024 + rnd.IntN(60000))},
		Server: flow.Endpoint{IP: netip.AddrFrom4([4]byte{198, 51, 100, byte(rnd.IntN(256))}), Port: 443},
	}, at)
	conn.TLS = &flow.TLS{Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", SNI: fmt.Sprintf("www%d.example.com", rnd.IntN(2000)), ALPN: "h2",
		ClientALPNs: []string{"h2", "http/1.1"}, JA3: fmt.Sprintf("%032x", rnd.IntN(50)), JA4: "t13d1516h2_8daaf6152771_02713d6af862"}
	conn.Decryption = flow.Decryption{State: flow.DecryptedYes, Source: flow.FromKeys}
	body := fmt.Sprintf(`{"id":%d,"name":"item %d","price":%d.99,"tags":["new","blue"],"owner":{"id":%d}}`, rnd.Uint32(), rnd.IntN(1e6), rnd.IntN(1000), rnd.Uint32())
	message := func(first string, body string, n int) *event.Message {
		return &event.Message{Headers: []string{first, "content-type: application/json", "cache-control: no-cache", fmt.Sprintf("x-request-id: %016x", rnd.Uint64()), "accept-encoding: gzip, deflate, br"},
			Content: event.Content{Size: int64(n), WireSize: int64(n), Type: "application/json", SHA256: fmt.Sprintf("%064x", rnd.Uint64()), State: event.Complete, Body: []byte(body)}}
	}
	return &event.Event{ID: conn.EventID(at, 1), Time: at, Origin: event.Origin{Agent: "sensor-1", Vantage: event.Sensor}, Conn: conn, Proto: "http2", Body: &event.HTTP{
		Version: "HTTP/2", Method: "GET", Host: conn.TLS.SNI, URL: fmt.Sprintf("/api/v1/items/%d?session=%016x", rnd.IntN(1e6), rnd.Uint64()), Status: uint16(200 + 4*rnd.IntN(2)),
		UserAgent: fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%[1]d.0", 90+rnd.IntN(40)), ContentType: "application/json",
		DurationUS: rnd.Int64N(1e6), State: event.Complete,
		Request: message("accept: */*", "", 0), Response: message("server: nginx", body+body, 2*len(body)),
	}}
}

// BenchmarkAppend stores realistic HTTP events from two writers in batches as the bus has them, and reports events a
// second and the engine's memory.
func BenchmarkAppend(b *testing.B) {
	db := openDB(b, Retention{})
	const size = 700 // of 1.5 KB are the 1 MiB of a batch
	var made atomic.Int64
	start := time.Now().Add(-time.Hour)
	before := cpuSeconds(b, "self") + cpuSeconds(b, fmt.Sprint(db.engine.pid.Load()))
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 1))
			for made.Add(size) <= int64(b.N)+size {
				recs := make([]*event.Record, size)
				for i := range recs {
					recs[i] = request(rnd, start.Add(time.Duration(made.Load())*time.Millisecond+time.Duration(i)*time.Microsecond)).Record()
				}
				if err := db.Append(b.Context(), recs); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	h, err := db.Health(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(h.Events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(h.Bytes)/float64(h.Events), "disk-B/event")
	b.ReportMetric(residentMB(b, db), "engine-MB")
	b.ReportMetric((cpuSeconds(b, "self")+cpuSeconds(b, fmt.Sprint(db.engine.pid.Load()))-before)*1e6/float64(h.Events), "cpu-µs/event")
}

// BenchmarkIngest takes realistic HTTP events from a publisher through the embedded bus into the embedded engine, as one machine
// does, and reports events a second. cpu-µs/event is the processor time of both processes, merges included: 1e6/cpu-µs events a
// second are what one core can do.
func BenchmarkIngest(b *testing.B) {
	db := openDB(b, Retention{})
	stream, err := bus.Open(b.Context(), bus.DefaultConfig(b.TempDir()), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer stream.Close()
	rnd := rand.New(rand.NewPCG(1, 1))
	start := time.Now().Add(-time.Hour)
	events := make([]*event.Event, min(b.N, 20_000))
	for i := range events {
		events[i] = request(rnd, start)
	}
	publisher := stream.Publisher(bus.PublisherConfig{Vantage: event.Sensor, Block: true})
	g := run.New(b.Context())
	g.Go("publisher", publisher.Run)
	stored, batches := 0, 0
	g.Go("store", func(ctx context.Context) error {
		return stream.Consume(ctx, "store", func(ctx context.Context, batch bus.Batch) error {
			batches++
			if stored += len(batch.Records); stored == b.N {
				defer g.Stop()
			}
			return db.Append(ctx, batch.Records)
		})
	})
	before := cpuSeconds(b, "self") + cpuSeconds(b, fmt.Sprint(db.engine.pid.Load()))
	b.ResetTimer()
	for i := range b.N {
		ev := *events[i%len(events)]
		ev.Time = start.Add(time.Duration(i) * 50 * time.Microsecond)
		ev.ID = ev.Conn.EventID(ev.Time, uint64(i))
		publisher.Emit(&ev)
	}
	publisher.Close()
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric((cpuSeconds(b, "self")+cpuSeconds(b, fmt.Sprint(db.engine.pid.Load()))-before)*1e6/float64(b.N), "cpu-µs/event")
	b.ReportMetric(float64(b.N)/float64(batches), "events/batch")
	b.ReportMetric(residentMB(b, db), "engine-MB")
}

// cpuSeconds returns the processor time that a process has used.
func cpuSeconds(b *testing.B, pid string) float64 {
	b.Helper()
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	ticks := 0.0
	for _, field := range strings.Fields(rest)[11:13] { // user and system
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return ticks / 100 // USER_HZ
}

// residentMB returns the resident memory of vitrine-store.
func residentMB(b *testing.B, db *DB) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", db.engine.pid.Load()))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kb) / 1024
}

// fillEvents makes n HTTP events of the last day inside the database.
func fillEvents(b *testing.B, db *DB, n int, now time.Time) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 30*time.Minute)
	defer cancel()
	const piece = 100_000
	for from := 0; from < n; from += piece {
		sql := fmt.Sprintf(`INSERT INTO events (id, time, kind, agent, vantage, conn_id, community_id, proto, app_proto, client_ip, client_port, server_ip, server_port,
			decrypted, decrypt_source, tls_version, tls_cipher, tls_sni, tls_alpn, http_version, http_method, http_host, http_url, http_status, http_user_agent,
			http_content_type, http_duration_us, http_request_headers, http_response_headers, http_response_size, http_response_sha256, http_response_body)
			SELECT generateUUIDv4(number), fromUnixTimestamp64Nano({start:Int64} + toInt64(number) * {step:Int64}, 'UTC'), 'http', 'sensor-1', 'sensor',
			generateUUIDv4(number + 1), concat('1:', base64Encode(reinterpretAsString(cityHash64(number)))), 'tcp', 'http2',
			toIPv6(concat('::ffff:10.', toString(cityHash64(number) %% 4), '.', toString(cityHash64(number) %% 251), '.', toString(cityHash64(number) %% 241))), number %% 60000,
			toIPv6(concat('::ffff:198.51.100.', toString(number %% 256))), 443, 'yes', 'keys', 'TLS 1.3', 'TLS_AES_128_GCM_SHA256',
			concat('www', toString(cityHash64(number) %% 2000), '.example.com'), 'h2', 'HTTP/2', 'GET', concat('www', toString(cityHash64(number) %% 2000), '.example.com'),
			concat('/api/v1/items/', toString(cityHash64(number) %% 1000000), '?session=', hex(cityHash64(number, 1))), 200 + 4 * (number %% 2),
			concat('Mozilla/5.0 (X11; Linux x86_64) Firefox/', toString(90 + number %% 40)), 'application/json', number %% 1000000,
			['accept: */*', concat('x-request-id: ', hex(cityHash64(number, 2)))], ['server: nginx', 'content-type: application/json'], 200, hex(SHA256(toString(number))),
			concat('{"id":', toString(cityHash64(number, 3)), ',"name":"item ', toString(number %% 1000000), '","tags":["new","blue"]}')
			FROM numbers(%d, %d)`, from, min(piece, n-from))
		err := db.client.exec(ctx, sql, query.Param{Name: "start", Value: strconv.FormatInt(now.Add(-24*time.Hour).UnixNano(), 10)},
			query.Param{Name: "step", Value: strconv.FormatInt(int64(24*time.Hour)/int64(n), 10)})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// forget makes the engine look at the events again: it remembers where a condition was not met before.
func forget(b *testing.B, db *DB) {
	b.Helper()
	b.StopTimer()
	if err := db.client.exec(b.Context(), "SYSTEM DROP QUERY CONDITION CACHE"); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

// settle waits until the engine has merged what it was given.
func settle(b *testing.B, db *DB) {
	b.Helper()
	var merges proto.ColUInt64
	for merges.Append(1); merges.Row(0) > 0; time.Sleep(100 * time.Millisecond) {
		if err := db.client.query(b.Context(), "SELECT count() AS merges FROM system.merges", nil, proto.Results{{Name: "merges", Data: &merges}}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSearch looks through 10 million events, or VITRINE_BENCH_EVENTS: a page of 100, the newest first. cpu-ms/op is the
// time of both cores.
func BenchmarkSearch(b *testing.B) {
	now := time.Now().UTC()
	db := openDB(b, Retention{})
	events := 10_000_000
	if n, err := strconv.Atoi(os.Getenv("VITRINE_BENCH_EVENTS")); err == nil {
		events = n
	}
	began := time.Now()
	fillEvents(b, db, events, now)
	settle(b, db)
	b.Logf("%d events made and merged in %s", events, time.Since(began).Round(time.Second))
	for _, bc := range []struct{ name, q string }{
		{"newest", ""},
		{"field and substring, many", `http.host:www7.example.com and http.url:*items*`},
		{"field and substring, few", `http.host:www7.example.com and http.url:*session=ABCD*`},
		{"field and substring, none", `http.status:200 and http.url:*nowhere*`},
		{"field and body substring", `http.host:www7.example.com and body:"item 77777"`},
		{"address", `client.ip:10.1.99.123`},
		{"network", `client.ip:10.1.99.0/24 and http.status:204`},
		{"community id", `community_id:"1:AAAAAAAAAAA="`},
		{"bare word", `nowhere`},
	} {
		b.Run(bc.name, func(b *testing.B) {
			f, err := query.Parse(bc.q)
			if err != nil {
				b.Fatal(err)
			}
			found, before := 0, cpuSeconds(b, fmt.Sprint(db.engine.pid.Load()))
			for b.Loop() {
				forget(b, db)
				p, err := db.Search(b.Context(), Search{Filter: f, Since: now.Add(-25 * time.Hour), Until: now.Add(time.Hour)})
				if err != nil {
					b.Fatal(err)
				}
				found = len(p.Records)
			}
			b.ReportMetric(float64(found), "found")
			b.ReportMetric((cpuSeconds(b, fmt.Sprint(db.engine.pid.Load()))-before)*1e3/float64(b.N), "cpu-ms/op")
			b.ReportMetric(residentMB(b, db), "engine-MB")
		})
	}
	b.Run("histogram", func(b *testing.B) {
		f, err := query.Parse("http.url:*ABCD*")
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			forget(b, db)
			if _, err := db.Histogram(b.Context(), f, now.Add(-24*time.Hour), now, 60); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("overview", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.Overview(b.Context(), now.Add(-24*time.Hour), now); err != nil {
				b.Fatal(err)
			}
		}
	})
}
