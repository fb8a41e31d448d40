package eve

import (
	"strconv"
	"strings"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type httpObject struct {
	Hostname        string   `json:"hostname,omitempty"`
	Port            uint16   `json:"http_port,omitempty"`
	URL             string   `json:"url,omitempty"`
	UserAgent       string   `json:"http_user_agent,omitempty"`
	ContentType     string   `json:"http_content_type,omitempty"`
	Referer         string   `json:"http_refer,omitempty"`
	Method          string   `json:"http_method,omitempty"`
	Protocol        string   `json:"protocol,omitempty"`
	Status          uint16   `json:"status,omitempty"`
	Length          *int64   `json:"length,omitempty"`
	RequestHeaders  []header `json:"request_headers,omitempty"`
	ResponseHeaders []header `json:"response_headers,omitempty"`
	RequestBody     string   `json:"http_request_body_printable,omitempty"`
	ResponseBody    string   `json:"http_response_body_printable,omitempty"`
}

func (e *Encoder) http(h *event.HTTP) *httpObject {
	o := &httpObject{
		Hostname: h.Host, Port: h.Port, URL: h.URL, UserAgent: h.UserAgent, ContentType: h.ContentType, Referer: h.Referer,
		Method: h.Method, Protocol: h.Version, Status: h.Status,
	}
	if m := h.Request; m != nil {
		o.RequestHeaders = headers(m.Headers)
		if e.bodies {
			o.RequestBody = printable(m.Body)
		}
	}
	if m := h.Response; m != nil {
		o.ResponseHeaders, o.Length = headers(m.Headers), &m.Size
		if e.bodies {
			o.ResponseBody = printable(m.Body)
		}
	}
	return o
}

func headers(lines []string) []header {
	hs := make([]header, len(lines))
	for i, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		hs[i] = header{name, strings.TrimPrefix(value, " ")}
	}
	return hs
}

// printable replaces what is not printable ASCII, line ends aside, by dots, as Suricata does.
func printable(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if c >= 0x20 && c < 0x7f || c == '\n' || c == '\r' || c == '\t' {
			out[i] = c
		} else {
			out[i] = '.'
		}
	}
	return string(out)
}

type dnsObject struct {
	Version   int         `json:"version"`
	Type      string      `json:"type"`
	ID        uint16      `json:"id"`
	Opcode    string      `json:"opcode_name,omitempty"`
	Flags     []string    `json:"flag_names,omitempty"`
	RRName    string      `json:"rrname,omitempty"`
	RRType    string      `json:"rrtype,omitempty"`
	RCode     string      `json:"rcode,omitempty"`
	Queries   []dnsRecord `json:"queries,omitempty"`
	Answers   []dnsRecord `json:"answers,omitempty"`
	Authority []dnsRecord `json:"authorities,omitempty"`
}

type dnsRecord struct {
	Name string `json:"rrname"`
	Type string `json:"rrtype"`
	TTL  uint32 `json:"ttl,omitempty"`
	Data string `json:"rdata,omitempty"`
}

func dns(d *event.DNS) *dnsObject {
	o := &dnsObject{
		Version: 3, Type: "request", ID: d.ID, Opcode: d.Opcode, Flags: d.Flags, RRName: d.Name, RRType: d.Type, RCode: d.Code,
		Queries: []dnsRecord{{Name: d.Name, Type: d.Type}}, Answers: dnsRecords(d.Answers), Authority: dnsRecords(d.Authority),
	}
	if d.Code != "" {
		o.Type = "response"
	}
	return o
}

// dnsRecords takes apart what event.DNS has as "name TTL type data".
func dnsRecords(lines []string) []dnsRecord {
	var rs []dnsRecord
	for _, l := range lines {
		f := strings.SplitN(l, " ", 4)
		if len(f) < 3 {
			continue
		}
		ttl, _ := strconv.ParseUint(f[1], 10, 32)
		r := dnsRecord{Name: f[0], Type: f[2], TTL: uint32(ttl)}
		if len(f) == 4 {
			r.Data = f[3]
		}
		rs = append(rs, r)
	}
	return rs
}

type hash struct {
	Hash string `json:"hash"`
}

type tlsObject struct {
	Subject     string   `json:"subject,omitempty"`
	Issuer      string   `json:"issuerdn,omitempty"`
	Serial      string   `json:"serial,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	SNI         string   `json:"sni,omitempty"`
	Version     string   `json:"version,omitempty"`
	NotBefore   string   `json:"notbefore,omitempty"`
	NotAfter    string   `json:"notafter,omitempty"`
	Names       []string `json:"subjectaltname,omitempty"`
	Cipher      string   `json:"cipher,omitempty"`
	Resumed     bool     `json:"session_resumed,omitempty"`
	JA3         *hash    `json:"ja3,omitempty"`
	JA3S        *hash    `json:"ja3s,omitempty"`
	JA4         string   `json:"ja4,omitempty"`
	ClientALPNs []string `json:"client_alpns,omitempty"`
	ServerALPNs []string `json:"server_alpns,omitempty"`
}

func tls(t *flow.TLS) *tlsObject {
	if t == nil {
		return &tlsObject{}
	}
	o := &tlsObject{SNI: t.SNI, Version: t.Version, Cipher: t.Cipher, Resumed: t.Resumed, JA4: t.JA4, ClientALPNs: t.ClientALPNs}
	if t.JA3 != "" {
		o.JA3 = &hash{t.JA3}
	}
	if t.JA3S != "" {
		o.JA3S = &hash{t.JA3S}
	}
	if t.ALPN != "" {
		o.ServerALPNs = []string{t.ALPN}
	}
	if c := t.Certificate; c != nil {
		const format = "2006-01-02T15:04:05"
		o.Subject, o.Issuer, o.Serial, o.Fingerprint, o.Names = c.Subject, c.Issuer, c.Serial, c.SHA1, c.Names
		o.NotBefore, o.NotAfter = c.NotBefore.UTC().Format(format), c.NotAfter.UTC().Format(format)
	}
	return o
}

type webSocketObject struct {
	Opcode string `json:"opcode,omitempty"`
	Size   int64  `json:"payload_size"`
	SHA256 string `json:"sha256,omitempty"`
}

func webSocket(w *event.WebSocket) *webSocketObject {
	return &webSocketObject{Opcode: w.Opcode, Size: w.Size, SHA256: w.SHA256}
}

type fileObject struct {
	Name   string `json:"filename"`
	Magic  string `json:"mimetype,omitempty"`
	Gaps   bool   `json:"gaps"`
	State  string `json:"state"`
	SHA256 string `json:"sha256,omitempty"`
	Stored bool   `json:"stored"`
	Size   int64  `json:"size"`
	Tx     uint64 `json:"tx_id"`
}

func file(f *event.File) *fileObject {
	o := &fileObject{Name: f.Name, Magic: f.Type, Gaps: f.State == event.HasGap, State: "CLOSED", SHA256: f.SHA256, Size: f.Size, Tx: f.Tx}
	if f.State != event.Complete {
		o.State = "TRUNCATED"
	}
	return o
}

type flowObject struct {
	PktsToServer  uint64 `json:"pkts_toserver"`
	PktsToClient  uint64 `json:"pkts_toclient"`
	BytesToServer uint64 `json:"bytes_toserver"`
	BytesToClient uint64 `json:"bytes_toclient"`
	Start         string `json:"start"`
	End           string `json:"end"`
	Age           int64  `json:"age"`
	State         string `json:"state"`
}

func flowOf(r *event.Record) *flowObject {
	c := r.Conn
	d := time.Duration(c.DurationUS) * time.Microsecond
	return &flowObject{
		PktsToServer: c.PacketsToServer, PktsToClient: c.PacketsToClient, BytesToServer: c.BytesToServer, BytesToClient: c.BytesToClient,
		Start: r.Time.Add(-d).Format(timeFormat), End: r.Time.Format(timeFormat), Age: int64(d / time.Second), State: "closed",
	}
}

type anomalyObject struct {
	Type  string `json:"type"`
	Event string `json:"event"`
	Layer string `json:"layer"`
}
