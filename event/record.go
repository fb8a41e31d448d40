package event

import (
	"reflect"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Record is an event as it is sent, stored, searched and shown: flat, owned by its holder, and equal to its JSON form.
//
// The dotted path of JSON names is a field's name everywhere: http.response.status in JSON is http.response.status in a
// search and http_response_status in the store. Its doc tag is its explanation in the API, the completion and the
// documentation; an enum tag lists its values.
//
// All texts are valid UTF-8, as JSON wants them. What was sent need not be: each byte that is no UTF-8 stands as \xHH, in
// lower case, and a backslash that was sent before such letters as \x5c. So no byte is lost, and equal texts were sent as equal
// bytes. Bodies and other fields of bytes are as they were sent.
type Record struct {
	ID   ID        `json:"id" doc:"Id of the event"`
	Time time.Time `json:"time" doc:"When it happened"`
	Kind Kind      `json:"kind" enum:"http,dns,tls,websocket,smtp,ftp,ftp_data,file,finding,conn,anomaly,unknown,coverage" doc:"What it is"`
	Origin

	ConnID      ID            `json:"conn_id,omitzero" doc:"Id of the connection"`
	CommunityID string        `json:"community_id,omitempty" store:"unique,sought" doc:"Community ID of the connection, by which other tools know it"`
	Proto       string        `json:"proto,omitempty" enum:"tcp,udp" doc:"Transport protocol"`
	AppProto    string        `json:"app_proto,omitempty" doc:"Application protocol"`
	Client      flow.Endpoint `json:"client,omitzero" doc:"The side that opened the connection"`
	Server      flow.Endpoint `json:"server,omitzero" doc:"The side that answered"`
	Interface   string        `json:"interface,omitempty" doc:"Interface that it was captured on"`
	flow.Decryption

	TLS       *flow.TLS       `json:"tls,omitempty" doc:"TLS facts of the connection"`
	Process   *flow.Process   `json:"process,omitempty" doc:"The local program"`
	Local     flow.Side       `json:"local,omitempty" enum:"client,server" doc:"Which side of the connection the local program is"`
	Container *flow.Container `json:"container,omitempty" doc:"The container of the program"`
	Policy    *flow.Policy    `json:"policy,omitempty" doc:"What the gateway decided about the connection"`

	HTTP      *HTTP      `json:"http,omitempty"`
	DNS       *DNS       `json:"dns,omitempty"`
	WebSocket *WebSocket `json:"websocket,omitempty"`
	SMTP      *SMTP      `json:"smtp,omitempty"`
	FTP       *FTP       `json:"ftp,omitempty"`
	FTPData   *FTPData   `json:"ftp_data,omitempty"`
	File      *File      `json:"file,omitempty"`
	Finding   *Finding   `json:"finding,omitempty"`
	Conn      *Conn      `json:"conn,omitempty"`
	Anomaly   *Anomaly   `json:"anomaly,omitempty"`
	Unknown   *Unknown   `json:"unknown,omitempty"`
	Coverage  *Coverage  `json:"coverage,omitempty"`
}

// Record returns the event in the form that can be kept. The body is shared unless texts in it must be escaped; all else is copied.
func (e *Event) Record() *Record {
	r := &Record{ID: e.ID, Time: e.Time.UTC(), Kind: e.Body.Kind(), Origin: e.Origin, AppProto: e.Proto, Process: e.Process, Container: e.Container}
	if c := e.Conn; c != nil {
		r.ConnID, r.CommunityID, r.Proto = c.ID, c.Tuple.CommunityID(), c.Tuple.Proto.String()
		r.Client, r.Server, r.Interface = c.Tuple.Client, c.Tuple.Server, c.Interface
		r.TLS, r.Process, r.Local, r.Container, r.Policy = c.TLS, c.Process, c.Local, c.Container, c.Policy
		if r.Reason = c.Decryption.Reason; c.TLS != nil {
			r.Decryption = c.Decryption
		}
	}
	r.setBody(e.Body)
	if v := reflect.ValueOf(r).Elem(); !recordTexts.plain(v) {
		recordTexts.escape(v)
	}
	return r
}

func (r *Record) setBody(b Body) {
	switch b := b.(type) {
	case *HTTP:
		r.HTTP = b
	case *DNS:
		r.DNS = b
	case *WebSocket:
		r.WebSocket = b
	case *SMTP:
		r.SMTP = b
	case *FTP:
		r.FTP = b
	case *FTPData:
		r.FTPData = b
	case *File:
		r.File = b
	case *Finding:
		r.Finding = b
	case *TLS:
		r.TLS, r.Decryption = b.Facts, b.Decryption
	case *Conn:
		r.Conn = b
	case *Anomaly:
		r.Anomaly = b
	case *Unknown:
		r.Unknown = b
	case *Coverage:
		r.Coverage = b
	}
}
