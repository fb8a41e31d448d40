package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Grant says which clients may use an identity of the gateway's, and with whom.
type Grant struct {
	ID      string      `yaml:"id" doc:"id of the identity, in every event"`
	Names   []string    `yaml:"names" doc:"servers that it is for: example.com for the name alone, *.example.com for all names below it"`
	Sources []Addresses `yaml:"sources" doc:"addresses or CIDRs of the clients that may use it: they have its power from then on"`
}

// MaxGrants is how many there may be.
const MaxGrants = 100

// Grants find the identity for a connection. They do not change, so that any number of goroutines may use them.
type Grants struct {
	all   []Grant
	names []exceptions // of each
}

// CompileGrants checks the grants and makes them fast.
func CompileGrants(list []Grant) (*Grants, error) {
	if n := len(list); n > MaxGrants {
		return nil, fmt.Errorf("%d identities: at most %d", n, MaxGrants)
	}
	g, known := &Grants{all: list}, seen{}
	for _, x := range list {
		if err := errors.Join(known.add(x.ID), x.validate()); err != nil {
			return nil, fmt.Errorf("identity %q: %w", x.ID, err)
		}
		g.names = append(g.names, compile([]Exception{{ID: x.ID, Names: x.Names}}))
	}
	return g, nil
}

func (g *Grant) validate() error {
	switch {
	case len(g.Names) == 0:
		return errors.New("names are needed: the servers that it is for")
	case len(g.Sources) == 0:
		return errors.New("sources are needed: whoever may use an identity has its power")
	case len(g.Names) > MaxNames || len(g.Sources) > MaxSources:
		return fmt.Errorf("%d names and %d sources: at most %d and %d", len(g.Names), len(g.Sources), MaxNames, MaxSources)
	}
	return checkNames(g.Names)
}

// Find returns the id of the first identity that is for the server of the name and that the client may use; or an empty string.
func (g *Grants) Find(name string, client netip.Addr) string {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	for i := range g.all {
		if g.names[i].find(name, netip.Addr{}) != "" && has(g.all[i].Sources, client.Unmap()) {
			return g.all[i].ID
		}
	}
	return ""
}

func has(list []Addresses, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p Addresses) bool { return p.Contains(a) })
}
