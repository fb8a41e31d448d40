package event

import "github.com/vitrine-ndr/vitrine/flow"

// HTTP is a request and its response, of HTTP/1 or HTTP/2. Either may be missing: then its fields are zero.
type HTTP struct {
	Tx          uint64   `json:"tx" doc:"Number of the transaction in its connection, from 0"`
	Version     string   `json:"version,omitempty" doc:"Protocol version" example:"HTTP/1.1"`
	Method      string   `json:"method,omitempty" doc:"Request method"`
	Host        string   `json:"host,omitempty" store:"sought" doc:"Host asked for, lower case, without the port"`
	Port        uint16   `json:"port,omitempty" doc:"Port in the Host header, if there is one"`
	URL         string   `json:"url,omitempty" store:"unique,sought" doc:"Request target as it was sent"`
	Status      uint16   `json:"status,omitempty" doc:"Response status"`
	Reason      string   `json:"reason,omitempty" doc:"Response reason phrase"`
	UserAgent   string   `json:"user_agent,omitempty" doc:"User-Agent header"`
	Referer     string   `json:"referer,omitempty" store:"unique" doc:"Referer header"`
	ContentType string   `json:"content_type,omitempty" doc:"Content type of the response, without parameters"`
	DurationUS  int64    `json:"duration_us,omitempty" doc:"From the first byte of the request to the last of the response, microseconds"`
	Stream      uint32   `json:"stream,omitempty" doc:"HTTP/2 stream"`
	State       State    `json:"state,omitempty" enum:"complete,truncated,gap" doc:"Whether all of it was seen"`
	Request     *Message `json:"request,omitempty" doc:"The request's headers and body"`
	Response    *Message `json:"response,omitempty" doc:"The response's headers and body"`
}

// Message is one half of an HTTP transaction.
type Message struct {
	Headers  []string `json:"headers,omitempty" doc:"Header fields as name: value, in order"`
	Trailers []string `json:"trailers,omitempty" doc:"Trailer fields as name: value, in order"`
	Content
}

// Content is a body or file: all of it counted and hashed, the beginning kept.
type Content struct {
	Size      int64  `json:"size,omitempty" doc:"Length, after decompression"`
	WireSize  int64  `json:"wire_size,omitempty" doc:"Length as transferred, before decompression"`
	Encoding  string `json:"encoding,omitempty" doc:"Content encodings that were undone" example:"gzip"`
	Type      string `json:"type,omitempty" doc:"Media type, by its first bytes" example:"image/png"`
	SHA256    string `json:"sha256,omitempty" store:"unique,sought" doc:"SHA-256 of the whole content after decompression, hexadecimal"`
	State     State  `json:"state,omitempty" enum:"complete,truncated,gap" doc:"Whether all of it was seen and hashed"`
	Body      []byte `json:"body,omitempty" doc:"The first bytes, after decompression" contentEncoding:"base64"`
	Truncated bool   `json:"body_truncated,omitempty" doc:"There is more than was kept"`
}

// State says whether all of something was seen.
type State string

const (
	Complete  State = "complete"
	Truncated State = "truncated" // the connection or a limit ended it
	HasGap    State = "gap"       // bytes inside are missing
)

// File is a file that was transferred. Its bytes are in the transaction that carried it.
type File struct {
	Tx        uint64 `json:"tx" doc:"Transaction that carried it"`
	Name      string `json:"name,omitempty" store:"unique,sought" doc:"File name"`
	Type      string `json:"type,omitempty" doc:"Media type, by its first bytes" example:"application/zip"`
	Size      int64  `json:"size" doc:"Length, after decompression"`
	SHA256    string `json:"sha256,omitempty" store:"unique,sought" doc:"SHA-256 of all of it, hexadecimal"`
	State     State  `json:"state,omitempty" enum:"complete,truncated,gap" doc:"Whether all of it was seen"`
	Direction string `json:"direction,omitempty" enum:"to_server,to_client" doc:"Which way it went"`
	Host      string `json:"host,omitempty" doc:"Host of the HTTP transaction"`
	URL       string `json:"url,omitempty" store:"unique" doc:"Request target of the HTTP transaction"`
}

// DNS is a query and its answer, or one of them.
type DNS struct {
	Tx         uint64   `json:"tx" doc:"Number of the transaction in its connection, from 0"`
	ID         uint16   `json:"id" doc:"DNS message id"`
	Opcode     string   `json:"opcode,omitempty" doc:"Operation, if it is not QUERY"`
	Name       string   `json:"name,omitempty" store:"unique,sought" doc:"Name asked for, lower case, without the final dot"`
	Type       string   `json:"type,omitempty" doc:"Record type asked for" example:"AAAA"`
	Code       string   `json:"code,omitempty" doc:"Response code; empty if there was no answer" example:"NXDOMAIN"`
	Answers    []string `json:"answers,omitempty" doc:"Answer records, as name TTL type data"`
	Addresses  []string `json:"addresses,omitempty" doc:"IP addresses in the answers"`
	Authority  []string `json:"authority,omitempty" doc:"Authority records, as name TTL type data"`
	Flags      []string `json:"flags,omitempty" doc:"Flags of the answer, else of the query: aa tc rd ra ad cd do"`
	DurationUS int64    `json:"duration_us,omitempty" doc:"From the query to its answer, microseconds"`
}

// WebSocket is one message, its fragments joined and decompressed.
type WebSocket struct {
	Tx        uint64 `json:"tx" doc:"Number of the message in its connection, from 0"`
	Direction string `json:"direction,omitempty" enum:"to_server,to_client" doc:"Which way it went"`
	Opcode    string `json:"opcode,omitempty" enum:"text,binary,close,ping,pong" doc:"What it is"`
	CloseCode uint16 `json:"close_code,omitempty" doc:"Status code of a close message"`
	Host      string `json:"host,omitempty" doc:"Host of the upgrade request"`
	URL       string `json:"url,omitempty" store:"unique" doc:"Request target of the upgrade request"`
	Content
}

// TLS is a TLS connection. Its facts appear as the event's tls fields.
type TLS struct {
	Facts      *flow.TLS
	Decryption flow.Decryption
}

// Conn is a connection that has ended.
type Conn struct {
	DurationUS      int64    `json:"duration_us" doc:"From its first packet to its last, microseconds"`
	PacketsToServer uint64   `json:"packets_to_server,omitempty" doc:"Packets from the client"`
	PacketsToClient uint64   `json:"packets_to_client,omitempty" doc:"Packets from the server"`
	BytesToServer   uint64   `json:"bytes_to_server,omitempty" doc:"Payload from the client"`
	BytesToClient   uint64   `json:"bytes_to_client,omitempty" doc:"Payload from the server"`
	GapBytes        uint64   `json:"gap_bytes,omitempty" doc:"Payload that was never seen, both directions"`
	PlaintextBytes  uint64   `json:"plaintext_bytes,omitempty" doc:"Plaintext that was inspected, both directions"`
	Protocols       []string `json:"protocols,omitempty" doc:"Application protocols, from the outside in"`
	Asked           string   `json:"asked,omitempty" doc:"Name or address that the client asked the gateway for, as a proxy"`
	Transactions    uint64   `json:"transactions,omitempty" doc:"Events that it gave"`
}

// Anomaly is protocol misbehaviour.
type Anomaly struct {
	Code string `json:"code" doc:"What misbehaved" example:"http1_bad_chunk_size"`
}

// Unknown is a stream of no known protocol.
type Unknown struct {
	BytesToServer uint64 `json:"bytes_to_server,omitempty" doc:"Plaintext from the client"`
	BytesToClient uint64 `json:"bytes_to_client,omitempty" doc:"Plaintext from the server"`
	ToServer      []byte `json:"to_server,omitempty" doc:"First bytes from the client" contentEncoding:"base64"`
	ToClient      []byte `json:"to_client,omitempty" doc:"First bytes from the server" contentEncoding:"base64"`
}

// Coverage says whether the probe sees the plaintext of a process that uses TLS, and if not, why. There is one for each TLS library that
// a process uses, and another one whenever that changes.
type Coverage struct {
	State   CoverageState  `json:"state" enum:"covered,partly_covered,not_covered,ended" doc:"Whether the probe sees the plaintext of the process"`
	Reason  CoverageReason `json:"reason,omitempty" enum:"unknown_library,no_symbols,unsupported_version,excluded,permission,paused,failed,beside_unseen" doc:"Why it does not, or not all"`
	Cause   CoverageCause  `json:"cause,omitempty" enum:"java,other_library,unknown_code,stripped,filter,memory_map,budget,too_many_files,written_to" doc:"What exactly stands in the way, where that is one of the usual things"`
	Detail  string         `json:"detail,omitempty" doc:"What exactly stands in the way, for people"`
	Library string         `json:"library,omitempty" doc:"TLS library" example:"openssl"`
	Version string         `json:"version,omitempty" doc:"Version of the library, as far as it is known" example:"3.0.19"`
	Path    string         `json:"path,omitempty" doc:"File that the library is in, as the process sees it"`
}

// CoverageState says whether a process is seen into.
type CoverageState string

const (
	Covered       CoverageState = "covered"        // of this library, and of every other that the process has
	PartlyCovered CoverageState = "partly_covered" // of this library, but not of another one that the process has
	NotCovered    CoverageState = "not_covered"
	CoverageEnded CoverageState = "ended" // the process has ended
)

// CoverageReason is the machine-readable answer to "why can't the probe see into this process?".
type CoverageReason string

const (
	UnknownLibrary     CoverageReason = "unknown_library"     // it speaks TLS by code that the probe has no hooks for
	NoSymbols          CoverageReason = "no_symbols"          // a known library is linked in, and its functions can't be found
	UnsupportedVersion CoverageReason = "unsupported_version" // a known library, of a version that the probe was not made for
	Excluded           CoverageReason = "excluded"            // a filter says so
	NotPermitted       CoverageReason = "permission"          // the probe may not look into the process
	Paused             CoverageReason = "paused"              // the probe was over its budget
	AttachFailed       CoverageReason = "failed"              // the kernel refused the hooks
	BesideUnseen       CoverageReason = "beside_unseen"       // it sees into this library, but not into another one of the process
)

// CoverageCause says what exactly is behind a CoverageReason. Where there is none, the detail is what the kernel or a file's format says.
type CoverageCause string

const (
	CauseJava         CoverageCause = "java"           // a Java virtual machine, whose TLS is Java code
	CauseOtherLibrary CoverageCause = "other_library"  // one that there are no hooks for
	CauseUnknownCode  CoverageCause = "unknown_code"   // code of TLS 1.3, of which library can't be told
	CauseStripped     CoverageCause = "stripped"       // the library is linked in and its symbols are removed
	CauseFilter       CoverageCause = "filter"         // the probe's filter leaves the process out
	CauseMemoryMap    CoverageCause = "memory_map"     // the probe may not read the process's memory map
	CauseBudget       CoverageCause = "budget"         // the probe was over its budget
	CauseTooManyFiles CoverageCause = "too_many_files" // there are hooks in as many files as may have them
	CauseWrittenTo    CoverageCause = "written_to"     // the library was written to while it was in use
)

func (*HTTP) Kind() Kind      { return KindHTTP }
func (*File) Kind() Kind      { return KindFile }
func (*DNS) Kind() Kind       { return KindDNS }
func (*WebSocket) Kind() Kind { return KindWebSocket }
func (*TLS) Kind() Kind       { return KindTLS }
func (*Conn) Kind() Kind      { return KindConn }
func (*Anomaly) Kind() Kind   { return KindAnomaly }
func (*Unknown) Kind() Kind   { return KindUnknown }
func (*Coverage) Kind() Kind  { return KindCoverage }
