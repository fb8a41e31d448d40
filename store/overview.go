package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/store/query"
)

// Overview sums up a period.
type Overview struct {
	Connections    uint64
	Coverage       Coverage
	PlaintextBytes uint64 // restored from TLS
	Transactions   uint64 // requests, queries and messages
	Kinds          []KindCount
	TopHosts       []HostCount
	Trend          Trend
}

// Coverage is how much of TLS was decrypted, in connections that have ended.
type Coverage struct {
	Yes, Partial, No uint64
	Sources          []SourceCount // of the plaintext of those that were, wholly or in part; the most frequent first
	Reasons          []ReasonCount // why not, or not all; the most frequent first
}

// TLS returns the number of TLS connections.
func (c Coverage) TLS() uint64 { return c.Yes + c.Partial + c.No }

// SourceCount says how many TLS connections were decrypted in one way.
type SourceCount struct {
	Source      flow.DecryptSource
	Connections uint64
}

// ReasonCount says how many TLS connections have a reason.
type ReasonCount struct {
	Reason      flow.Reason
	Connections uint64
}

// KindCount says how many events are of a kind.
type KindCount struct {
	Kind  event.Kind
	Count uint64
}

// HostCount says how much HTTP there was with a host.
type HostCount struct {
	Host         string
	Transactions uint64
	Bytes        uint64 // of bodies, after decompression, both directions
}

// Trend is an Overview over time.
type Trend struct {
	Interval time.Duration
	Points   []TrendPoint // all of them, empty ones too
}

// TrendPoint is one point of a Trend.
type TrendPoint struct {
	Time             time.Time
	Connections      uint64
	Yes, Partial, No uint64 // TLS connections
	PlaintextBytes   uint64
}

const (
	trendPoints = 60
	topHosts    = 10
)

// Overview sums up the period from since, inclusive, to until, exclusive.
func (db *DB) Overview(ctx context.Context, since, until time.Time) (Overview, error) {
	var o Overview
	for _, f := range []func(context.Context, *Overview, time.Time, time.Time) error{db.kinds, db.sources, db.reasons, db.hosts, db.trend} {
		if err := f(ctx, &o, since, until); err != nil {
			return Overview{}, fmt.Errorf("sum up events: %w", err)
		}
	}
	return o, nil
}

func (db *DB) kinds(ctx context.Context, o *Overview, since, until time.Time) error {
	var (
		kind  proto.ColStr
		count proto.ColUInt64
		w     = whereOf(nil, since, until)
	)
	return db.client.query(ctx, "SELECT CAST(kind AS String) AS name, count() AS count FROM events"+w.String()+" GROUP BY name ORDER BY count DESC, name", w.params,
		proto.Results{{Name: "name", Data: &kind}, {Name: "count", Data: &count}}, func(rows int) error {
			for i := range rows {
				k := KindCount{event.Kind(kind.Row(i)), count.Row(i)}
				o.Kinds = append(o.Kinds, k)
				switch k.Kind {
				case event.KindConn:
					o.Connections = k.Count
				case event.KindHTTP, event.KindDNS, event.KindWebSocket, event.KindSMTP, event.KindFTP:
					o.Transactions += k.Count
				}
			}
			return nil
		})
}

// kindIs is a condition on the kind of event.
func (w *where) kindIs(k event.Kind) *where {
	w.add("kind = {kind:String}", query.Param{Name: "kind", Value: string(k)})
	return w
}

func (db *DB) sources(ctx context.Context, o *Overview, since, until time.Time) error {
	return db.countTLS(ctx, "decrypt_source", "decrypted != 'no'", since, until, func(source string, n uint64) {
		o.Coverage.Sources = append(o.Coverage.Sources, SourceCount{flow.DecryptSource(source), n})
	})
}

func (db *DB) reasons(ctx context.Context, o *Overview, since, until time.Time) error {
	return db.countTLS(ctx, "reason", "reason != ''", since, until, func(reason string, n uint64) {
		o.Coverage.Reasons = append(o.Coverage.Reasons, ReasonCount{flow.Reason(reason), n})
	})
}

// countTLS counts the TLS connections that fulfil a condition by the values of a column, the most frequent first.
func (db *DB) countTLS(ctx context.Context, column, condition string, since, until time.Time, each func(value string, n uint64)) error {
	var (
		value proto.ColStr
		count proto.ColUInt64
		w     = whereOf(nil, since, until).kindIs(event.KindTLS)
	)
	w.add(condition)
	return db.client.query(ctx, "SELECT CAST("+column+" AS String) AS name, count() AS count FROM events"+w.String()+" GROUP BY name ORDER BY count DESC, name", w.params,
		proto.Results{{Name: "name", Data: &value}, {Name: "count", Data: &count}}, func(rows int) error {
			for i := range rows {
				each(value.Row(i), count.Row(i))
			}
			return nil
		})
}

func (db *DB) hosts(ctx context.Context, o *Overview, since, until time.Time) error {
	var (
		host         proto.ColStr
		count, bytes proto.ColUInt64
		w            = whereOf(nil, since, until).kindIs(event.KindHTTP)
	)
	w.add("http_host != ''")
	sql := fmt.Sprintf(`SELECT CAST(http_host AS String) AS host, count() AS count, toUInt64(sum(http_request_size) + sum(http_response_size)) AS bytes
		FROM events%s GROUP BY host ORDER BY count DESC, host LIMIT %d`, w, topHosts)
	return db.client.query(ctx, sql, w.params, proto.Results{{Name: "host", Data: &host}, {Name: "count", Data: &count}, {Name: "bytes", Data: &bytes}}, func(rows int) error {
		for i := range rows {
			o.TopHosts = append(o.TopHosts, HostCount{host.Row(i), count.Row(i), bytes.Row(i)})
		}
		return nil
	})
}

// trend counts connections over time; the sums of it are the coverage.
func (db *DB) trend(ctx context.Context, o *Overview, since, until time.Time) error {
	s, err := divide(since, until, trendPoints)
	if err != nil {
		return err
	}
	o.Trend = Trend{Interval: s.step, Points: make([]TrendPoint, s.n)}
	for i := range o.Trend.Points {
		o.Trend.Points[i].Time = s.at(i)
	}
	var (
		slot                           proto.ColUInt32
		conns, yes, partial, no, plain proto.ColUInt64
		w                              = whereOf(nil, since, until)
	)
	w.add("kind IN ('conn', 'tls')")
	number, params := s.number()
	sql := "SELECT " + number + ` AS slot, countIf(kind = 'conn') AS conns, countIf(kind = 'tls' AND decrypted = 'yes') AS yes,
		countIf(kind = 'tls' AND decrypted = 'partial') AS partial, countIf(kind = 'tls' AND decrypted = 'no') AS no,
		sumIf(tls_plaintext_bytes, kind = 'tls') AS plain FROM events` + w.String() + " GROUP BY slot"
	return db.client.query(ctx, sql, append(w.params, params...), proto.Results{{Name: "slot", Data: &slot}, {Name: "conns", Data: &conns},
		{Name: "yes", Data: &yes}, {Name: "partial", Data: &partial}, {Name: "no", Data: &no}, {Name: "plain", Data: &plain}}, func(rows int) error {
		for i := range rows {
			n := int(slot.Row(i))
			if n >= len(o.Trend.Points) {
				continue
			}
			p := &o.Trend.Points[n]
			p.Connections, p.Yes, p.Partial, p.No, p.PlaintextBytes = conns.Row(i), yes.Row(i), partial.Row(i), no.Row(i), plain.Row(i)
			o.Coverage.Yes += p.Yes
			o.Coverage.Partial += p.Partial
			o.Coverage.No += p.No
			o.PlaintextBytes += p.PlaintextBytes
		}
		return nil
	})
}
