// Package eve writes events as Suricata's EVE JSON, so that what reads Suricata's output reads Vitrine's. Records go in,
// one JSON object a line comes out. Field names and formats are those of Suricata 8's EVE documentation; what Suricata does
// not know stands in one object named vitrine.
package eve

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Encoder writes Records. It is not safe for concurrent use.
type Encoder struct {
	json   *json.Encoder
	bodies bool
}

// NewEncoder returns an Encoder. With bodies, the kept part of HTTP bodies and of the text of mails is written in its printable form.
func NewEncoder(w io.Writer, bodies bool) *Encoder {
	j := json.NewEncoder(w)
	j.SetEscapeHTML(false)
	return &Encoder{json: j, bodies: bodies}
}

// Encode writes one line.
func (e *Encoder) Encode(r *event.Record) error { return e.json.Encode(e.line(r)) }

const timeFormat = "2006-01-02T15:04:05.000000-0700"

// line is one EVE object.
type line struct {
	Timestamp   string  `json:"timestamp"`
	FlowID      uint64  `json:"flow_id,omitempty"`
	InIface     string  `json:"in_iface,omitempty"`
	EventType   string  `json:"event_type"`
	SrcIP       string  `json:"src_ip,omitempty"`
	SrcPort     uint16  `json:"src_port,omitempty"`
	DestIP      string  `json:"dest_ip,omitempty"`
	DestPort    uint16  `json:"dest_port,omitempty"`
	Proto       string  `json:"proto,omitempty"`
	AppProto    string  `json:"app_proto,omitempty"`
	TxID        *uint64 `json:"tx_id,omitempty"`
	CommunityID string  `json:"community_id,omitempty"`

	HTTP      *httpObject      `json:"http,omitempty"`
	DNS       *dnsObject       `json:"dns,omitempty"`
	TLS       *tlsObject       `json:"tls,omitempty"`
	WebSocket *webSocketObject `json:"websocket,omitempty"`
	FTP       *ftpObject       `json:"ftp,omitempty"`
	FTPData   *ftpDataObject   `json:"ftp_data,omitempty"`
	SMTP      *smtpObject      `json:"smtp,omitempty"`
	Email     *emailObject     `json:"email,omitempty"`
	FileInfo  *fileObject      `json:"fileinfo,omitempty"`
	Flow      *flowObject      `json:"flow,omitempty"`
	Anomaly   *anomalyObject   `json:"anomaly,omitempty"`
	Alert     *alertObject     `json:"alert,omitempty"`
	Vitrine   vitrineObject    `json:"vitrine"`
}

// vitrineObject holds what EVE has no name for.
type vitrineObject struct {
	ID        string          `json:"id"`
	ConnID    string          `json:"conn_id,omitempty"`
	Agent     string          `json:"agent,omitempty"`
	Asset     string          `json:"asset,omitempty"`
	Vantage   string          `json:"vantage,omitempty"`
	Import    string          `json:"import,omitempty"`
	Control   string          `json:"control_id,omitempty"`
	Decrypted string          `json:"decrypted,omitempty"`
	Source    string          `json:"decrypt_source,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Process   *flow.Process   `json:"process,omitempty"`
	Local     flow.Side       `json:"local,omitempty"`
	Container *flow.Container `json:"container,omitempty"`
	Policy    *flow.Policy    `json:"policy,omitempty"`
	Fault     flow.Fault      `json:"certificate_fault,omitempty"`
	SMTP      *smtpMore       `json:"smtp,omitempty"`
	Unknown   *event.Unknown  `json:"unknown,omitempty"`
	Coverage  *event.Coverage `json:"coverage,omitempty"`
	Finding   *findingObject  `json:"finding,omitempty"`
}

// eventTypes names the kinds whose EVE name is another.
var eventTypes = map[event.Kind]string{event.KindFile: "fileinfo", event.KindConn: "flow", event.KindFinding: "alert"}

func (e *Encoder) line(r *event.Record) *line {
	l := &line{
		Timestamp: r.Time.Format(timeFormat), InIface: r.Interface, EventType: string(r.Kind),
		FlowID: binary.BigEndian.Uint64(r.ConnID[8:]) >> 1, // readers take it for a signed integer; 0 is of no connection
		Proto:  strings.ToUpper(r.Proto), AppProto: appProto(r.AppProto), CommunityID: r.CommunityID,
		Vitrine: vitrine(r),
	}
	if t, ok := eventTypes[r.Kind]; ok {
		l.EventType = t
	}
	if r.Client.IP.IsValid() {
		l.SrcIP, l.SrcPort = r.Client.IP.String(), r.Client.Port
	}
	if r.Server.IP.IsValid() {
		l.DestIP, l.DestPort = r.Server.IP.String(), r.Server.Port
	}
	e.body(l, r)
	return l
}

func (e *Encoder) body(l *line, r *event.Record) {
	switch r.Kind {
	case event.KindHTTP:
		l.HTTP, l.TxID = e.http(r.HTTP), &r.HTTP.Tx
	case event.KindDNS:
		l.DNS, l.TxID = dns(r.DNS), &r.DNS.Tx
	case event.KindTLS:
		l.TLS = tls(r.TLS)
	case event.KindWebSocket:
		l.WebSocket, l.TxID = webSocket(r.WebSocket), &r.WebSocket.Tx
		swap(l, r.WebSocket.Direction)
	case event.KindFTP:
		l.FTP, l.TxID = ftp(r.FTP), &r.FTP.Tx
	case event.KindFTPData:
		l.FTPData = ftpData(r.FTPData)
		if r.FTPData.ControlID != (event.ID{}) {
			l.Vitrine.Control = r.FTPData.ControlID.String()
		}
		swap(l, r.FTPData.Direction)
	case event.KindSMTP:
		e.smtp(l, r.SMTP)
	case event.KindFile:
		l.FileInfo, l.TxID = file(r.File), &r.File.Tx
		if r.File.URL != "" {
			l.HTTP = &httpObject{Hostname: r.File.Host, URL: r.File.URL}
		}
		swap(l, r.File.Direction)
	case event.KindFinding:
		alert(l, r.Finding)
	case event.KindConn:
		l.Flow = flowOf(r)
	case event.KindAnomaly:
		l.Anomaly = &anomalyObject{Type: "applayer", Event: r.Anomaly.Code, Layer: "proto_parser"}
	case event.KindUnknown:
		l.Vitrine.Unknown = r.Unknown
	case event.KindCoverage:
		l.Vitrine.Coverage = r.Coverage
	}
}

// swap makes the sender the source, as EVE has it for what goes one way only.
func swap(l *line, direction string) {
	if direction == "to_client" {
		l.SrcIP, l.DestIP, l.SrcPort, l.DestPort = l.DestIP, l.SrcIP, l.DestPort, l.SrcPort
	}
}

// appProto names protocols as Suricata does.
func appProto(name string) string {
	switch name {
	case "http1":
		return "http"
	case "ftp_data":
		return "ftp-data"
	case "unknown":
		return "failed"
	}
	return name
}

func vitrine(r *event.Record) vitrineObject {
	v := vitrineObject{
		ID: r.ID.String(), Agent: r.Agent, Asset: r.Asset, Vantage: string(r.Vantage), Import: r.Import,
		Decrypted: string(r.Decryption.State), Source: string(r.Decryption.Source), Reason: string(r.Decryption.Reason),
		Process: r.Process, Local: r.Local, Container: r.Container, Policy: r.Policy,
	}
	if r.TLS != nil {
		v.Fault = r.TLS.Fault
	}
	if r.ConnID != (event.ID{}) {
		v.ConnID = r.ConnID.String()
	}
	return v
}
