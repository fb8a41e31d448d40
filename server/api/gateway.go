package api

import (
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// Gateway tells how the gateway of the server's machine is doing.
type Gateway struct {
	Running     bool              `json:"running" doc:"Whether it stands in the way of connections"`
	WhyNot      string            `json:"why_not,omitempty" doc:"Why it does not run, and what to do, for people"`
	Off         Off               `json:"off,omitempty" enum:"not_turned_on" doc:"Why it does not run, where that is one of the usual things"`
	Listeners   []GatewayListener `json:"listeners" doc:"Where clients may connect"`
	Stats       GatewayStats      `json:"stats"`
	Quota       Quota             `json:"quota"`
	Authorities []Authority       `json:"authorities"`
	// Faults are what keeps stored policies from being in force.
	Faults []string `json:"faults" doc:"Why some enabled policies are not in force, for people"`
}

// GatewayListener is a place at which clients connect.
type GatewayListener struct {
	Kind    string `json:"kind" enum:"connect,socks5,transparent" doc:"What clients say there: HTTP CONNECT, SOCKS5, or nothing, since their packets are diverted"`
	Address string `json:"address" example:"127.0.0.1:3128"`
}

// GatewayStats count connections since the start.
type GatewayStats struct {
	Open         int               `json:"open" doc:"Connections at this moment"`
	Inspected    uint64            `json:"inspected" doc:"Connections that were looked into and have ended"`
	Bypassed     uint64            `json:"bypassed" doc:"Connections that were handed on as they are and have ended"`
	Blocked      uint64            `json:"blocked" doc:"Connections and requests that were ended by a rule"`
	OverCapacity uint64            `json:"over_capacity" doc:"Connections that were closed since there were too many"`
	Unreachable  uint64            `json:"unreachable" doc:"Requests for servers that could not be connected to"`
	Guarded      uint64            `json:"guarded" doc:"Requests for addresses that the gateway never connects to"`
	Refused      uint64            `json:"refused" doc:"Clients whose request could not be read, or who may not ask"`
	Reasons      map[string]uint64 `json:"reasons" doc:"Why TLS connections were not looked into, by reason code"`
	Faults       map[string]uint64 `json:"faults" doc:"What was wrong with certificates of servers, by fault"`
}

// Quota is how many combinations of sources, destinations and ports all scopes stand for.
type Quota struct {
	Used int `json:"used"`
	Left int `json:"left" doc:"How many more there may be; below 0 if there are too many"`
	Max  int `json:"max"`
}

// Authority is a certificate authority that can sign for the gateway. Its key is never shown.
type Authority struct {
	Name        string    `json:"name"`
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Trial       bool      `json:"trial" doc:"Whether it was made for a trial, and should give way to a real one"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after" doc:"When the first certificate of its chain expires"`
	KeyType     string    `json:"key_type" example:"ECDSA P-256"`
	Fingerprint string    `json:"fingerprint_sha256" doc:"Of the root, which clients are to trust: SHA-256, in hexadecimal"`
	ChainLength int       `json:"chain_length" doc:"Number of its certificates, from the one that signs to the root"`
	UsedBy      []string  `json:"used_by" doc:"Ids of the policies that it signs for"`
	Reminder    string    `json:"reminder" enum:"none,below_one_year,below_30_days,expired" doc:"Whether it should be replaced"`
}

// Authorities are all of them.
type Authorities struct {
	Authorities []Authority `json:"authorities"`
}

// NewAuthority is an authority to import: in PEM with its key or where that lies, or in PKCS#12.
type NewAuthority struct {
	Name       string `json:"name" minLength:"1" maxLength:"64" doc:"By which policies choose it"`
	PEM        string `json:"pem,omitempty" maxLength:"1048576" doc:"Its certificate, followed by those of its issuers, in PEM"`
	KeyPEM     string `json:"key_pem,omitempty" maxLength:"1048576" doc:"Its key in PEM, which may be encrypted"`
	KeyURI     string `json:"key_uri,omitempty" maxLength:"4096" doc:"Where its key lies in a PKCS#11 token (RFC 7512), with module-path and pin-source or pin-value, instead of the key"`
	PKCS12     []byte `json:"pkcs12_base64,omitempty" doc:"Certificates and key in PKCS#12, in base64, instead of the two in PEM"`
	Passphrase string `json:"passphrase,omitempty" maxLength:"1024" doc:"What opens the key"`
}

// NewTrial names a trial authority.
type NewTrial struct {
	Name string `json:"name,omitempty" maxLength:"64" doc:"By which policies choose it; trial if empty"`
}

// GatewayPolicy says which connections are inspected, with which authority, and what is done where that cannot be.
type GatewayPolicy struct {
	ID          string         `json:"id" maxLength:"64" doc:"In every event of its connections: letters, digits, dots, dashes and underscores"`
	Name        string         `json:"name,omitempty" maxLength:"200"`
	Description string         `json:"description,omitempty" maxLength:"2000"`
	Authority   string         `json:"authority,omitempty" maxLength:"64" doc:"Name of the authority that signs"`
	Disabled    *bool          `json:"disabled,omitempty" doc:"If it is not given, a new policy is disabled, and another one stays as it is"`
	Scopes      []GatewayScope `json:"scopes,omitempty" doc:"Connections that it is about: of any of these"`
	Cases       policy.Cases   `json:"cases,omitempty"`
}

// GatewayScope is a set of connections: all that come from one of the sources and go to one of the destinations.
type GatewayScope struct {
	ID               string   `json:"id" maxLength:"64" doc:"In every event of its connections"`
	Description      string   `json:"description,omitempty" maxLength:"2000"`
	Sources          []string `json:"sources,omitempty" doc:"Addresses or CIDRs that connections come from"`
	SourcePorts      []string `json:"source_ports,omitempty" doc:"Ranges of ports, written first/last; 0/65535 if empty"`
	Destinations     []string `json:"destinations,omitempty" doc:"Addresses or CIDRs that connections go to"`
	DestinationPorts []string `json:"destination_ports,omitempty" doc:"Ranges of ports, written first/last; 443/443 if empty"`
	AllowQUIC        bool     `json:"allow_quic,omitempty" doc:"In transparent mode, let QUIC pass unseen; else clients are told to fall back to TCP"`
}

// StoredPolicy is a policy and what it takes of the quota.
type StoredPolicy struct {
	GatewayPolicy
	QuotaUsed int `json:"quota_used"`
}

// GatewayPolicies are all policies in their order: a connection belongs to the first that it fits.
type GatewayPolicies struct {
	Policies []StoredPolicy `json:"policies"`
	Quota    Quota          `json:"quota"`
}

// PolicyOrder is the order of all policies.
type PolicyOrder struct {
	IDs []string `json:"ids" maxItems:"1000" doc:"Each id once"`
}

// PolicyCheck is what a policy would mean.
type PolicyCheck struct {
	Problems []PolicyProblem `json:"problems"`
	Quota    PolicyQuota     `json:"quota"`
}

// PolicyProblem is a mistake, and where it is.
type PolicyProblem struct {
	Field   string `json:"field" example:"scopes[0].sources[2]"`
	Message string `json:"message"`
}

// PolicyQuota is the arithmetic of a policy's scopes, and what all policies would use with it.
type PolicyQuota struct {
	Quota
	Scopes []ScopeQuota `json:"scopes"`
}

// ScopeQuota is the arithmetic of one scope: its units are the product of the four.
type ScopeQuota struct {
	ID                string `json:"id"`
	Sources           int    `json:"sources"`
	SourceRanges      int    `json:"source_ranges"`
	Destinations      int    `json:"destinations"`
	DestinationRanges int    `json:"destination_ranges"`
	Units             int    `json:"units"`
}

// GatewayException takes connections out of inspection, by name, kind of service, or address.
type GatewayException struct {
	ID         string   `json:"id" maxLength:"64" doc:"In every event that it decides"`
	Kind       string   `json:"kind" enum:"bypass,block" doc:"Whether connections are handed on as they are, or ended"`
	Names      []string `json:"names,omitempty" maxItems:"10000" doc:"example.com for the name alone, *.example.com for all names below it"`
	Addresses  []string `json:"addresses,omitempty" maxItems:"10000" doc:"Addresses or CIDRs of servers"`
	Categories []string `json:"categories,omitempty" maxItems:"100" doc:"Ids of shipped lists of names"`
	Reason     string   `json:"reason,omitempty" maxLength:"2000" doc:"Why, for people"`
}

// GatewayExceptions are all of them.
type GatewayExceptions struct {
	Exceptions []GatewayException `json:"exceptions"`
}

// GatewayCategory is a shipped list of names.
type GatewayCategory struct {
	ID    string   `json:"id" example:"banking"`
	Names []string `json:"names"`
	Count int      `json:"count"`
}

// GatewayCategories are all of them.
type GatewayCategories struct {
	Categories []GatewayCategory `json:"categories"`
}

// RequestRules are the rules by which requests are judged, as people wrote them.
type RequestRules struct {
	Text string `json:"text" maxLength:"900000" doc:"A file of rules in YAML, as docs/gateway.md explains; empty if there are none"`
}

// GatewayApplication is a service on the web that rules may name.
type GatewayApplication struct {
	ID   string   `json:"id" example:"google-drive"`
	Name string   `json:"name"`
	Kind string   `json:"kind" example:"storage"`
	URLs []string `json:"urls" doc:"Where it is"`
}

// GatewayApplications are all of them.
type GatewayApplications struct {
	Applications []GatewayApplication `json:"applications"`
}

// GatewayPin is a server that some programs accept only with certificates of their own choice.
type GatewayPin struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Address   string     `json:"address,omitempty"`
	State     string     `json:"state" enum:"suspected,learnt,approved,rejected" doc:"Learnt and approved ones are bypassed"`
	Reason    string     `json:"reason" enum:"refused,closed" doc:"What clients did last: they refused the gateway's certificate, or ended connections at once and without a word"`
	Everybody bool       `json:"everybody" doc:"Whether it holds for all clients, and not only for those that have shown it"`
	Count     int        `json:"count" doc:"How often"`
	Clients   int        `json:"clients" doc:"How many different ones, 16 at the most"`
	FirstSeen time.Time  `json:"first_seen"`
	LastSeen  time.Time  `json:"last_seen"`
	Expires   *time.Time `json:"expires,omitempty" doc:"When it is forgotten by itself"`
}

// GatewayPins are all of them.
type GatewayPins struct {
	Pins []GatewayPin `json:"pins"`
}

// DistrustingClient is a client whose programs do not trust the gateway's authority.
type DistrustingClient struct {
	Client   string    `json:"client" doc:"Its address"`
	Count    int       `json:"count" doc:"Connections that it gave up"`
	Names    []string  `json:"names" doc:"Servers that it wanted to reach, the latest first; not all of them if there are many"`
	LastSeen time.Time `json:"last_seen"`
}

// GatewayDistrust are the clients that give up connections.
type GatewayDistrust struct {
	Clients []DistrustingClient `json:"clients"`
}

// GatewayChange is something that somebody changed.
type GatewayChange struct {
	Time    time.Time `json:"time"`
	User    string    `json:"user"`
	Action  string    `json:"action" example:"policy.enable"`
	Object  string    `json:"object" doc:"Id or name of what was changed"`
	Summary string    `json:"summary" doc:"How it is now, for people"`
	Outcome string    `json:"outcome" enum:"ok,denied,failed"`
}

// GatewayChanges are changes, the latest first.
type GatewayChanges struct {
	Changes []GatewayChange `json:"changes"`
}
