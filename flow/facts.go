package flow

import "time"

// TLS is what the handshake of a TLS connection says. Field tags are explained at event.Record.
type TLS struct {
	Version        string       `json:"version,omitempty" doc:"Negotiated TLS version" example:"TLS 1.3"`
	Cipher         string       `json:"cipher,omitempty" doc:"Negotiated cipher suite, IANA name" example:"TLS_AES_128_GCM_SHA256"`
	SNI            string       `json:"sni,omitempty" store:"sought" doc:"Server name that the client asked for"`
	OuterSNI       string       `json:"outer_sni,omitempty" doc:"Server name outside of an encrypted ClientHello that the gateway has opened"`
	ALPN           string       `json:"alpn,omitempty" doc:"Negotiated application protocol" example:"h2"`
	ClientALPNs    []string     `json:"client_alpns,omitempty" doc:"Application protocols that the client offered"`
	JA3            string       `json:"ja3,omitempty" doc:"JA3 fingerprint of the ClientHello, MD5"`
	JA3S           string       `json:"ja3s,omitempty" doc:"JA3S fingerprint of the ServerHello, MD5"`
	JA4            string       `json:"ja4,omitempty" doc:"JA4 fingerprint of the ClientHello"`
	Resumed        bool         `json:"resumed,omitempty" doc:"The session was resumed"`
	Certificate    *Certificate `json:"certificate,omitempty" doc:"The server's certificate, where it was seen"`
	Fault          Fault        `json:"certificate_fault,omitempty" enum:"expired,not_yet_valid,wrong_name,wrong_usage,self_signed,untrusted,revoked,revocation_unknown,no_staple" doc:"What is wrong with the server's certificate, where the gateway has judged it"`
	PlaintextBytes uint64       `json:"plaintext_bytes,omitempty" doc:"Application data that was decrypted"`
	LostBytes      uint64       `json:"lost_bytes,omitempty" doc:"Application data that was seen but not decrypted"`
}

// Certificate is the leaf of the chain that the server sent.
type Certificate struct {
	Subject   string    `json:"subject,omitempty" doc:"Subject, RFC 2253"`
	Issuer    string    `json:"issuer,omitempty" doc:"Issuer, RFC 2253"`
	Serial    string    `json:"serial,omitempty" store:"unique" doc:"Serial number, colon-separated hexadecimal"`
	SHA256    string    `json:"sha256,omitempty" store:"unique,sought" doc:"SHA-256 of the DER form, hexadecimal"`
	SHA1      string    `json:"sha1,omitempty" store:"unique" doc:"SHA-1 of the DER form, colon-separated hexadecimal, as Suricata prints it"`
	NotBefore time.Time `json:"not_before,omitzero" doc:"Start of validity"`
	NotAfter  time.Time `json:"not_after,omitzero" doc:"End of validity"`
	Names     []string  `json:"names,omitempty" doc:"Subject alternative names"`
}

// Fault is what is wrong with a server's certificate, as a careful client sees it. The first that fits is told, in the order below.
type Fault string

const (
	NoFault           Fault = ""
	Revoked           Fault = "revoked"            // by its issuer, or one above it is
	RevocationUnknown Fault = "revocation_unknown" // who could tell does not answer, and the gateway insists
	NoStaple          Fault = "no_staple"          // it must bring proof that it is not revoked, and does not (RFC 7633)
	SelfSigned        Fault = "self_signed"        // by its own key, and not trusted for itself
	Untrusted         Fault = "untrusted"          // no chain to a trusted root, or one that breaks its rules or has too short a key
	WrongUsage        Fault = "wrong_usage"        // not for servers
	Expired           Fault = "expired"            // at this time
	NotYetValid       Fault = "not_yet_valid"      // at this time
	WrongName         Fault = "wrong_name"         // of another server
)

// Decryption says whether and how plaintext was had, and if not, why.
type Decryption struct {
	State  Decrypted     `json:"decrypted,omitempty" enum:"yes,no,partial" doc:"Whether the plaintext of the TLS connection was had; empty for a connection without TLS"`
	Source DecryptSource `json:"decrypt_source,omitempty" enum:"probe,keys,inspection" doc:"Where the plaintext came from"`
	Reason Reason        `json:"reason,omitempty" doc:"Why the connection was not decrypted, or not all of it" example:"no_key"`
}

// Decrypted is yes, no or partial; empty where there is no TLS.
type Decrypted string

const (
	DecryptedYes     Decrypted = "yes"
	DecryptedNo      Decrypted = "no"
	DecryptedPartial Decrypted = "partial"
)

// DecryptSource names the way in which plaintext was had.
type DecryptSource string

const (
	FromProbe      DecryptSource = "probe"
	FromKeys       DecryptSource = "keys"
	FromInspection DecryptSource = "inspection"
)

// Reason is the machine-readable answer to "why can't I see into this connection?". docs/reason-codes.md explains each.
type Reason string

const (
	NoKey              Reason = "no_key"              // no session key came in time
	LateKey            Reason = "late_key"            // the key came after some ciphertext had been given up
	UnsupportedSuite   Reason = "unsupported_suite"   // the cipher suite or version cannot be opened
	BadTag             Reason = "bad_tag"             // every candidate key failed authentication
	GapInRecords       Reason = "gap"                 // packets are missing
	Midstream          Reason = "midstream"           // the handshake was before the capture
	NoApplicationData  Reason = "no_application_data" // the connection ended before any was sent
	Tunnelled          Reason = "tunnelled"           // TLS inside TLS, of which the outer one is opened
	UnsupportedLibrary Reason = "unsupported_library"
	BypassedByPolicy   Reason = "bypassed_by_policy"
	PausedOverBudget   Reason = "paused_over_budget"
	DetectionOff       Reason = "detection_off"
	OverMemory         Reason = "over_memory" // ciphertext was given up to stay within the memory limit
	Malformed          Reason = "malformed"   // the records are not TLS
)

// The reasons of the gateway, beside BypassedByPolicy and UnsupportedSuite.
const (
	BlockedByPolicy   Reason = "blocked_by_policy"
	OutsideScope      Reason = "outside_scope"      // no policy is about the connection
	NoServerName      Reason = "no_server_name"     // the client names no server, which the policy does not want inspected
	ClientCertificate Reason = "client_certificate" // the server asks for one, which only the client can give
	BadCertificate    Reason = "bad_certificate"    // that of the server, for which the policy blocks
	OriginFailed      Reason = "origin_failed"      // the server ended the handshake
	ClientRefused     Reason = "client_refused"     // the client does not accept the gateway's certificate
	ClientFailed      Reason = "client_failed"      // the client ended the handshake for another reason
	AuthorityFailed   Reason = "authority_failed"   // the gateway's authority could not sign a certificate for the client
	OverCapacity      Reason = "over_capacity"      // as many connections as may be were looked into already
	Pinned            Reason = "pinned"             // the client accepts no certificate but the server's own
	EncryptedHello    Reason = "ech_required"       // the client tries again without encrypting its ClientHello
	Guarded           Reason = "guarded"            // nobody was connected to: the gateway connects to no such address
	Unreachable       Reason = "unreachable"        // nobody was connected to: the server's name or address leads to nobody
)

// Policy is what the gateway decided about a connection, and by which rules.
type Policy struct {
	ID     string `json:"id,omitempty" doc:"Id of the policy that the connection falls under; empty if it is under none"`
	Scope  string `json:"scope,omitempty" doc:"Id of the scope in the policy"`
	Rule   string `json:"rule,omitempty" doc:"Id of the bypass or block rule that decided"`
	Action Action `json:"action,omitempty" enum:"inspect,bypass,block" doc:"What was done with the connection"`
	// Identity is one that the gateway's configuration lets the client use.
	Identity string `json:"identity,omitempty" doc:"Id of the identity of the gateway's that was shown to the server, which had asked for a client certificate"`
}

// Action is what the gateway does with a connection.
type Action string

const (
	Inspect Action = "inspect" // look into it
	Bypass  Action = "bypass"  // hand on its bytes as they are
	Block   Action = "block"   // end it
)

// Process is a program on a host that the probe runs on.
type Process struct {
	PID         int       `json:"pid" doc:"Process id, in the host's namespace"`
	Name        string    `json:"name,omitempty" doc:"Command name"`
	Exe         string    `json:"exe,omitempty" doc:"Path of the executable"`
	CommandLine string    `json:"command_line,omitempty" store:"unique" doc:"Command line"`
	UID         int       `json:"uid" doc:"User id"`
	Start       time.Time `json:"start,omitzero" doc:"When it was started"`
}

// Side is one end of a connection.
type Side string

const (
	ClientSide Side = "client"
	ServerSide Side = "server"
)

// Container is where a process runs, if not on the host itself.
type Container struct {
	ID        string `json:"id,omitempty" doc:"Container id"`
	Image     string `json:"image,omitempty" doc:"Image name"`
	Pod       string `json:"pod,omitempty" doc:"Kubernetes pod"`
	Namespace string `json:"namespace,omitempty" doc:"Kubernetes namespace"`
}
