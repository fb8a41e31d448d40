// Package trust makes the programs of a machine trust a root certificate, checks that they do, and undoes it. A certificate goes in,
// already found fit to be trusted; what became of each store comes out. Each family of stores has a file of its own. It knows nothing of
// gateways, and asks nobody but this machine.
package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
)

// Root is the certificate to trust.
type Root struct{ *x509.Certificate }

// Fingerprint is the certificate's SHA-256, in hexadecimal digits.
func (r Root) Fingerprint() string {
	sum := sha256.Sum256(r.Raw)
	return hex.EncodeToString(sum[:])
}

// name is what files and entries of the root are called. It tells one root from another, and ours from those of other people.
func (r Root) name() string { return "vitrine-" + r.Fingerprint()[:16] }

// pem is the certificate in PEM.
func (r Root) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Raw})
}

// Store is a place in which programs look for the roots that they trust, or a program that has a way of its own.
type Store interface {
	Name() string
	// Absent says why there is nothing to do with the store; it is empty if the store is there.
	Absent() string
	// Trusts asks the store itself, or the program. The text says how it was found, or why the store does not trust the root.
	Trusts(ctx context.Context, r Root) (bool, string, error)
	// Install adds the root. It is called only for a store that is there and does not trust it yet.
	Install(ctx context.Context, r Root) error
	// Uninstall takes out what Install may have added, or a part of that if it was interrupted, and nothing that others have added.
	Uninstall(ctx context.Context, r Root) error
	// Restart says what programs that run need before they notice a change.
	Restart() string
}

// State is how a store stands to a root.
type State string

const (
	Trusted    State = "trusted"
	NotTrusted State = "not trusted"
	NotThere   State = "not there"
	Unknown    State = "unknown" // the store is there, and asking it or changing it failed
)

// Result is what became of a store.
type Result struct {
	Store   string   `json:"store"`
	State   State    `json:"state"`
	Detail  string   `json:"detail,omitempty"`  // how that is known, or why it is so
	Changes []string `json:"changes,omitempty"` // what was done or, in a dry run, would be
	Restart string   `json:"restart,omitempty"` // what running programs need before they notice
	Failed  bool     `json:"failed"`            // the store is not as it was asked to be
}

// Verify asks every store.
func (m *Machine) Verify(ctx context.Context, r Root) (all []Result) {
	for _, s := range m.stores() {
		result := ask(ctx, s, r)
		result.Failed = result.State == NotTrusted || result.State == Unknown
		all = append(all, result)
	}
	return all
}

// Install makes every store that is there trust the root. Stores that do are left alone; what fails in one does not keep it from the others.
func (m *Machine) Install(ctx context.Context, r Root) (all []Result) {
	for _, s := range m.stores() {
		all = append(all, m.change(ctx, s, r, Trusted, s.Install))
	}
	return all
}

// Uninstall takes the root out of every store that Install has put it into.
func (m *Machine) Uninstall(ctx context.Context, r Root) (all []Result) {
	for _, s := range m.stores() {
		all = append(all, m.change(ctx, s, r, NotTrusted, s.Uninstall))
	}
	return all
}

// change brings one store into the state that is wanted, and asks it afterwards.
func (m *Machine) change(ctx context.Context, s Store, r Root, want State, do func(context.Context, Root) error) Result {
	before := ask(ctx, s, r)
	if before.State == NotThere || before.State == Trusted && want == Trusted {
		return before
	}
	m.changes = nil
	err := do(ctx, r)
	after := before
	if !m.Dry && (len(m.changes) > 0 || err != nil) {
		after = ask(ctx, s, r)
	}
	after.Changes = m.changes
	switch {
	case errors.Is(err, errFollows):
		after.Failed = !m.Dry && want == Trusted && after.State != Trusted
	case err != nil:
		after.Detail, after.Failed = err.Error(), true
	case !m.Dry && want == Trusted && after.State != Trusted:
		after.Failed = true
	case want == NotTrusted && after.State == Trusted && !m.Dry:
		after.Detail = "still trusted, by an entry that is not of vitrine trust: " + after.Detail
	}
	if len(after.Changes) > 0 {
		after.Restart = s.Restart()
	}
	return after
}

// errFollows is what stores return that have nothing of their own to change: they trust what the system's store trusts.
var errFollows = errors.New("follows the system's store")

func ask(ctx context.Context, s Store, r Root) Result {
	if why := s.Absent(); why != "" {
		return Result{Store: s.Name(), State: NotThere, Detail: why}
	}
	ok, detail, err := s.Trusts(ctx, r)
	switch {
	case err != nil:
		return Result{Store: s.Name(), State: Unknown, Detail: err.Error()}
	case ok:
		return Result{Store: s.Name(), State: Trusted, Detail: detail}
	}
	return Result{Store: s.Name(), State: NotTrusted, Detail: detail}
}

// stores lists what may be on a machine. The system's store comes first, because others follow it: what it gives them or takes from them
// needs no entry of their own.
func (m *Machine) stores() (all []Store) {
	system := newSystem(m)
	all = append(all, system)
	all = append(all, followers(m, system)...)
	all = append(all, newPython(m, system), newNode(m))
	all = append(all, javas(m)...)
	all = append(all, databases(m)...)
	return append(all, newFirefox(m))
}
