package eve

import (
	"hash/crc32"

	"github.com/vitrine-ndr/vitrine/event"
)

type alertObject struct {
	Action      event.FindingAction `json:"action"`
	SignatureID uint32              `json:"signature_id"`
	Signature   string              `json:"signature"`
	Category    string              `json:"category"`
	Severity    uint16              `json:"severity"`
}

// findingObject is what an alert of EVE has no name for.
type findingObject struct {
	Engine      string             `json:"engine,omitempty"`
	Rule        string             `json:"rule,omitempty"`
	Class       event.FindingClass `json:"class,omitempty"`
	Name        string             `json:"name,omitempty"`
	Reference   string             `json:"reference,omitempty"`
	Application string             `json:"application,omitempty"`
	Activities  []string           `json:"activities,omitempty"`
}

// alert writes a finding. Readers of EVE want a number for each rule: it is made of the rule's id, and a signed one of 32 bits holds it.
func alert(l *line, f *event.Finding) {
	l.TxID = &f.Tx
	l.Alert = &alertObject{
		Action: f.Action, Signature: f.Name, Category: string(f.Class), Severity: f.Severity,
		SignatureID: crc32.ChecksumIEEE([]byte(f.Rule)) >> 1,
	}
	if f.Method != "" || f.Host != "" {
		l.HTTP = &httpObject{Hostname: f.Host, URL: f.URL, Method: f.Method}
	}
	l.Vitrine.Finding = &findingObject{f.Engine, f.Rule, f.Class, f.Name, f.Reference, f.Application, f.Activities}
}
