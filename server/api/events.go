package api

import (
	"time"

	"github.com/vitrine-ndr/vitrine/event"
)

// Events is one page of a search, the newest event first.
type Events struct {
	Events     []*event.Record `json:"events" doc:"Events without bodies, headers and trailers, the newest first"`
	NextCursor string          `json:"next_cursor,omitempty" doc:"Give this as cursor to get the next page; missing on the last page"`
	TookMS     int64           `json:"took_ms" doc:"How long the search took, milliseconds"`
}

// Histogram counts the events of a search over time.
type Histogram struct {
	IntervalS float64  `json:"interval_s" doc:"Width of a bucket, seconds"`
	Buckets   []Bucket `json:"buckets" doc:"All buckets from since to until, empty ones too"`
}

// Bucket is one bar of a histogram.
type Bucket struct {
	Time      time.Time `json:"time" doc:"Start of the bucket"`
	Count     uint64    `json:"count" doc:"Events in it"`
	Decrypted uint64    `json:"decrypted" doc:"Events in it whose plaintext was had by decryption, wholly or in part"`
}

// Overview sums up a period.
type Overview struct {
	Connections    uint64            `json:"connections" doc:"Connections that ended"`
	Decryption     Decryption        `json:"decryption" doc:"How much of TLS was decrypted"`
	PlaintextBytes uint64            `json:"plaintext_bytes" doc:"Plaintext that was restored from TLS"`
	Transactions   uint64            `json:"transactions" doc:"Requests, queries and messages"`
	Kinds          []KindCount       `json:"kinds" doc:"Events of each kind, the most frequent first"`
	TopHosts       []HostCount       `json:"top_hosts" doc:"Hosts with the most transactions"`
	Trend          Trend             `json:"trend" doc:"The same over time"`
	Losses         map[string]uint64 `json:"losses" doc:"What was not seen or not kept, by reason; a missing reason is zero"`
}

// Decryption is the share of TLS connections that were decrypted.
type Decryption struct {
	TLS     uint64        `json:"tls" doc:"TLS connections that ended"`
	Yes     uint64        `json:"yes" doc:"Decrypted"`
	Partial uint64        `json:"partial" doc:"Decrypted in part"`
	No      uint64        `json:"no" doc:"Not decrypted"`
	Sources []SourceCount `json:"sources" doc:"How the plaintext of those that were decrypted, wholly or in part, was had; the most frequent first"`
	Reasons []ReasonCount `json:"reasons" doc:"Why not, or not all, the most frequent first"`
}

// SourceCount says how often plaintext was had in one way.
type SourceCount struct {
	Source      string `json:"source" enum:"probe,keys,inspection" doc:"Where the plaintext came from"`
	Connections uint64 `json:"connections" doc:"TLS connections that were decrypted so"`
}

// ReasonCount says how often a reason was given.
type ReasonCount struct {
	Reason      string `json:"reason" doc:"Reason code" example:"no_key"`
	Connections uint64 `json:"connections" doc:"TLS connections with it"`
}

// KindCount counts one kind of event.
type KindCount struct {
	Kind  event.Kind `json:"kind" enum:"http,dns,tls,websocket,smtp,ftp,ftp_data,file,finding,conn,anomaly,unknown,coverage" doc:"Kind of event"`
	Count uint64     `json:"count" doc:"Events of it"`
}

// HostCount counts one host.
type HostCount struct {
	Host         string `json:"host" doc:"Host name as seen; hostile"`
	Transactions uint64 `json:"transactions" doc:"HTTP transactions with it"`
	Bytes        uint64 `json:"bytes" doc:"Size of their bodies after decompression, both directions"`
}

// Trend is a time series.
type Trend struct {
	IntervalS float64      `json:"interval_s" doc:"Distance of two points, seconds"`
	Points    []TrendPoint `json:"points" doc:"All points from since to until, empty ones too"`
}

// TrendPoint is one point of a Trend.
type TrendPoint struct {
	Time           time.Time `json:"time" doc:"Start of the interval"`
	Connections    uint64    `json:"connections" doc:"Connections that ended in it"`
	Yes            uint64    `json:"yes" doc:"TLS connections decrypted"`
	Partial        uint64    `json:"partial" doc:"TLS connections decrypted in part"`
	No             uint64    `json:"no" doc:"TLS connections not decrypted"`
	PlaintextBytes uint64    `json:"plaintext_bytes" doc:"Plaintext that was restored from TLS"`
}

// Field is one field of the search language.
type Field struct {
	Name    string     `json:"name" doc:"Dotted name" example:"http.response.size"`
	Type    event.Type `json:"type" enum:"string,list,int,uint,bool,time,ip,id,bytes" doc:"Type of its values"`
	Enum    []string   `json:"enum,omitempty" doc:"The values that it can have, if they are few"`
	Doc     string     `json:"doc" doc:"What it says"`
	Content bool       `json:"content,omitempty" doc:"It holds what was said in a connection: seen and searched only by those who may read content"`
}

// Completion offers what can be written at a place of a query.
type Completion struct {
	From    int      `json:"from" doc:"Byte offset in the query where an option begins to replace text"`
	To      int      `json:"to" doc:"Byte offset where the replaced text ends"`
	Options []Option `json:"options" doc:"What can stand there, the likeliest first"`
}

// Option is one thing that can be written.
type Option struct {
	Label  string `json:"label" doc:"Text to insert, quoted where it must be"`
	Type   string `json:"type" enum:"field,operator,value,keyword" doc:"What it is"`
	Detail string `json:"detail,omitempty" doc:"Explanation"`
}

// Dropped tells a follower of the live tail what it was too slow for.
type Dropped struct {
	Events uint64 `json:"events" doc:"Matching events that were left out since the stream began"`
}
