package event

// Finding is a rule that fits a transaction.
type Finding struct {
	Tx          uint64        `json:"tx" doc:"Transaction that the rule fits"`
	Engine      string        `json:"engine,omitempty" enum:"request" doc:"Engine whose rule it is"`
	Rule        string        `json:"rule,omitempty" store:"sought" doc:"Id of the rule"`
	Class       FindingClass  `json:"class,omitempty" enum:"policy,attack,sensitive,risk,behaviour" doc:"What kind of thing was found"`
	Name        string        `json:"name,omitempty" doc:"What was found, for people"`
	Severity    uint16        `json:"severity,omitempty" doc:"How grave it is, from 1, the worst, to 4"`
	Action      FindingAction `json:"action,omitempty" enum:"allowed,blocked" doc:"What became of the transaction"`
	Reference   string        `json:"reference,omitempty" store:"unique,sought" doc:"What the page that a blocked client sees calls the incident"`
	Application string        `json:"application,omitempty" doc:"Service that was used, by the list of applications"`
	Activities  []string      `json:"activities,omitempty" doc:"What was done: browse, download, upload, post, login, api"`
	Method      string        `json:"method,omitempty" doc:"Method of the HTTP transaction"`
	Host        string        `json:"host,omitempty" doc:"Host of the HTTP transaction"`
	URL         string        `json:"url,omitempty" store:"unique" doc:"Request target of the HTTP transaction"`
}

// FindingClass is the kind of thing that was found.
type FindingClass string

// ClassPolicy is use that people have forbidden or want to know of, and that harms by that alone.
const ClassPolicy FindingClass = "policy"

// FindingAction is what became of the transaction.
type FindingAction string

const (
	Allowed FindingAction = "allowed"
	Blocked FindingAction = "blocked" // no byte of it reached the server, or none behind what had been forwarded before
)

// Kind is KindFinding.
func (*Finding) Kind() Kind { return KindFinding }
