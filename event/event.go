// Package event is the model of what Vitrine has to tell: one Event per fact, with one Body type per kind. It is the only
// source of the JSON form, the columns of the store, the fields of the search language, the EVE form and, by way of the API's
// schema, the console's types: a new field is added here and nowhere else. It knows nothing of where events come from or go to.
package event

import (
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// ID names an event: time-ordered, unique, and the same however often the event is sent.
type ID = flow.ID

// Kind says which Body an event has.
type Kind string

const (
	KindConn      Kind = "conn"      // a connection has ended
	KindTLS       Kind = "tls"       // a TLS connection has ended, or was seen inside another stream
	KindHTTP      Kind = "http"      // a request and its response
	KindDNS       Kind = "dns"       // a query and its answer
	KindWebSocket Kind = "websocket" // a message
	KindSMTP      Kind = "smtp"      // a mail, or a session that sent none
	KindFTP       Kind = "ftp"       // an FTP command and its replies
	KindFTPData   Kind = "ftp_data"  // a transfer in an FTP data connection
	KindFinding   Kind = "finding"   // a rule fits something
	KindFile      Kind = "file"      // a file was transferred
	KindAnomaly   Kind = "anomaly"   // protocol misbehaviour
	KindUnknown   Kind = "unknown"   // a stream of no known protocol has ended
	KindCoverage  Kind = "coverage"  // the probe sees into a process, or does not
)

// Kinds are all of them, in the order in which people look for them.
var Kinds = []Kind{KindHTTP, KindDNS, KindTLS, KindWebSocket, KindSMTP, KindFTP, KindFTPData, KindFile, KindFinding, KindConn, KindAnomaly, KindUnknown, KindCoverage}

// Vantage is the kind of source that an event comes from.
type Vantage string

const (
	Probe   Vantage = "probe"
	Sensor  Vantage = "sensor"
	Gateway Vantage = "gateway"
)

// Origin is who saw it.
type Origin struct {
	Agent   string  `json:"agent,omitempty" doc:"Name of the agent that saw it"`
	Vantage Vantage `json:"vantage,omitempty" enum:"probe,sensor,gateway" doc:"Kind of source that saw it"`
	Asset   string  `json:"asset,omitempty" doc:"The protected host or workload"`
	Import  string  `json:"import,omitempty" store:"sought" doc:"Id of the import that it came with; empty for live traffic"`
}

// Event is one fact. It and its Conn are valid only while the call that hands them over lasts: who keeps one keeps its Record.
type Event struct {
	ID     ID
	Time   time.Time
	Origin Origin
	Conn   *flow.Conn // nil where the fact is of no connection
	Proto  string     // the application protocol that the body was parsed from, or empty
	Body   Body

	// Process and Container are the program that the fact is of. Valid iff Conn is nil, which has its own.
	Process   *flow.Process
	Container *flow.Container
}

// Body is what the fact is: *HTTP, *DNS, *WebSocket, *SMTP, *FTP, *FTPData, *File, *Finding, *TLS, *Conn, *Anomaly, *Unknown or *Coverage.
type Body interface{ Kind() Kind }
