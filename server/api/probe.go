package api

import (
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
)

// Probe tells how the probe of the server's machine is doing.
type Probe struct {
	State        string             `json:"state" enum:"running,paused,off" doc:"Whether it sees into processes: paused means that it took all its hooks away and tries again; off, that it does not run"`
	Reason       string             `json:"reason,omitempty" doc:"Why it is paused" example:"paused_over_budget"`
	Cause        string             `json:"cause,omitempty" enum:"over_cpu,over_memory" doc:"What was over its limit when it paused, unless it could not be resumed"`
	Taken        float64            `json:"taken,omitempty" doc:"What it took then: a share of one core, or bytes"`
	Off          Off                `json:"off,omitempty" enum:"turned_off,not_root,not_permitted,own_process_ids" doc:"Why it does not run, where that is one of the usual things"`
	Detail       string             `json:"detail,omitempty" doc:"Why it does not run, and what to do, for people"`
	Since        *time.Time         `json:"since,omitempty" doc:"Since when it is in this state; missing if it is off"`
	NextTry      *time.Time         `json:"next_try,omitempty" doc:"When it tries to go on by itself, if it is paused"`
	CPU          float64            `json:"cpu" doc:"Processor time that it takes now, as a share of one core"`
	CPULimit     float64            `json:"cpu_limit" doc:"Share of one core above which it pauses; 0 if there is no limit"`
	Memory       uint64             `json:"memory" doc:"Memory that it takes now, bytes"`
	MemoryLimit  uint64             `json:"memory_limit" doc:"Bytes above which it pauses; 0 if there is no limit"`
	Capabilities []KernelCapability `json:"capabilities" doc:"What it needs of the kernel, and whether it is there"`
	Libraries    []HookedLibrary    `json:"libraries" doc:"Files in which it has hooks"`
	Lost         []ProbeLoss        `json:"lost" doc:"What it did not see or not keep since its start, by reason"`
}

// KernelCapability is something that the kernel can do, or can't.
type KernelCapability struct {
	Name      string `json:"name" doc:"Capability" example:"ring_buffer"`
	Available bool   `json:"available" doc:"Whether the kernel has it and lets the probe use it"`
	Lack      string `json:"lack,omitempty" enum:"configured,no_type_information,unsupported" doc:"Why it is not there, where that is one of the usual things"`
	Detail    string `json:"detail,omitempty" doc:"What is used in its place, or why it is not there"`
}

// HookedLibrary is a file that the probe has hooks in.
type HookedLibrary struct {
	Library   string `json:"library" doc:"TLS library" example:"openssl"`
	Version   string `json:"version,omitempty" doc:"Its version, as far as it is known" example:"3.0.19"`
	Path      string `json:"path" doc:"File, as its first process sees it; hostile"`
	Hooks     int    `json:"hooks" doc:"Hooks in it"`
	Processes int    `json:"processes" doc:"Processes that use it now"`
}

// ProbeLoss counts what the probe lost for one reason.
type ProbeLoss struct {
	Reason string `json:"reason" doc:"Reason" example:"ring_full"`
	Count  uint64 `json:"count" doc:"Pieces of plaintext, events or connections that were lost for it"`
}

// ProcessCoverage says whether the probe sees into one process that uses TLS, by one library.
type ProcessCoverage struct {
	Process   flow.Process    `json:"process" doc:"The process; what it calls itself is hostile"`
	Container *flow.Container `json:"container,omitempty" doc:"Its container"`
	event.Coverage
	Since time.Time `json:"since" doc:"Since when this is so"`
	Bytes uint64    `json:"bytes" doc:"Plaintext of it that was seen, both directions"`
}

// ProbeCoverage is the coverage of every process that uses TLS.
type ProbeCoverage struct {
	Processes []ProcessCoverage `json:"processes" doc:"One entry for each process and library; those that have ended are gone"`
}

// ProbeFilterState is the filter in force and its history.
type ProbeFilterState struct {
	Filter   filter.Rules  `json:"filter" doc:"The filter in force, or the one that will be once the probe is on"`
	Previous *filter.Rules `json:"previous,omitempty" doc:"The filter before, to go back to; missing if it was never changed here"`
	Changed  *time.Time    `json:"changed,omitempty" doc:"When it was changed here; missing if it never was: then it is the configuration's"`
	Actor    string        `json:"actor,omitempty" doc:"Account or token that changed it"`
}

// FilterPreview says what a filter would do to the processes that use TLS now.
type FilterPreview struct {
	Processes []FilteredProcess `json:"processes" doc:"The processes of the coverage list, each once"`
}

// FilteredProcess is what a filter would do to one process.
type FilteredProcess struct {
	Process   flow.Process    `json:"process" doc:"The process"`
	Container *flow.Container `json:"container,omitempty" doc:"Its container"`
	Seen      string          `json:"seen" enum:"yes,no,partly" doc:"Whether its plaintext would be taken; partly, if that depends on the port or the direction of a connection"`
}
