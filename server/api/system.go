package api

import "time"

// Import is one upload of captures and key logs and what became of it.
type Import struct {
	ID          string     `json:"id" doc:"Id; its events are found by the search import:<id>"`
	Name        string     `json:"name" doc:"Names of the uploaded captures; hostile"`
	State       string     `json:"state" enum:"queued,running,done,failed,cancelled" doc:"How far it is"`
	BytesDone   int64      `json:"bytes_done" doc:"Bytes of the captures that were read, as uploaded"`
	BytesTotal  int64      `json:"bytes_total" doc:"Bytes of the captures, as uploaded"`
	Packets     uint64     `json:"packets" doc:"Packets read"`
	Events      uint64     `json:"events" doc:"Events found"`
	Connections uint64     `json:"connections" doc:"Connections found"`
	Decrypted   uint64     `json:"decrypted" doc:"TLS connections that were decrypted, wholly or in part"`
	Error       string     `json:"error,omitempty" doc:"Why it failed"`
	Started     time.Time  `json:"started" doc:"When it was uploaded"`
	Finished    *time.Time `json:"finished,omitempty" doc:"When it ended"`
}

// Imports are all that are remembered.
type Imports struct {
	Imports []Import `json:"imports" doc:"The newest first"`
}

// Accepted names a new import.
type Accepted struct {
	ID string `json:"id" doc:"Id of the import"`
}

// System tells how Vitrine itself is doing.
type System struct {
	Version  string    `json:"version" doc:"Version of the server"`
	Started  time.Time `json:"started" doc:"When it was started"`
	Roles    []RoleOf  `json:"roles" doc:"What this machine does, and why not the rest"`
	Store    Store     `json:"store" doc:"The event store"`
	Alarms   []Alarm   `json:"alarms" doc:"What needs a person now, the oldest first"`
	Counters []Counter `json:"counters" doc:"Every counter and gauge of this process"`
}

// RoleOf says whether a role is on.
type RoleOf struct {
	Name string `json:"name" doc:"Role" example:"sensor"`
	On   bool   `json:"on" doc:"Whether it runs"`
	Why  string `json:"why,omitempty" doc:"Why it does not, or what it works on"`
	Off  Off    `json:"off,omitempty" enum:"turned_off,not_turned_on,not_root,not_permitted,own_process_ids" doc:"Why it does not, where that is one of the usual things"`
}

// Off says why a role is off.
type Off string

const (
	TurnedOff     Off = "turned_off"      // a person has done so
	NotTurnedOn   Off = "not_turned_on"   // it is off unless a person asks for it
	NotRoot       Off = "not_root"        // it needs root
	NotPermitted  Off = "not_permitted"   // the kernel refuses what it needs
	OwnProcessIDs Off = "own_process_ids" // in a container whose process ids are not the kernel's
)

// Store is the state of the event store.
type Store struct {
	OK     bool       `json:"ok" doc:"It answers"`
	Error  string     `json:"error,omitempty" doc:"Why it does not"`
	Events uint64     `json:"events" doc:"Events in it"`
	Bytes  uint64     `json:"bytes" doc:"Disk space that it uses"`
	Oldest *time.Time `json:"oldest,omitempty" doc:"Time of the oldest event"`
}

// Alarm is a condition that needs a person.
type Alarm struct {
	Code    string    `json:"code" doc:"Stable name" example:"disk_full"`
	Message string    `json:"message" doc:"What happened, why, what to do"`
	Since   time.Time `json:"since" doc:"Since when"`
}

// Counter is one metric.
type Counter struct {
	Name   string            `json:"name" doc:"Metric name"`
	Labels map[string]string `json:"labels,omitempty" doc:"Its labels"`
	Value  float64           `json:"value" doc:"Present value"`
}

// Health is the answer to a load balancer.
type Health struct {
	Status string `json:"status" enum:"ok" doc:"The server answers"`
}
