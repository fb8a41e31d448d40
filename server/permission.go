package server

import (
	"slices"

	"github.com/vitrine-ndr/vitrine/server/api"
)

// Permission is a verb that a route asks for.
type Permission string

const (
	Public        Permission = ""          // nobody need be signed in
	SignedIn      Permission = "signed_in" // any account; tokens too
	CanSearch     Permission = "search"    // facts of connections and transactions
	CanContent    Permission = "content"   // what was said: URLs, headers, bodies, plaintext packets
	CanPackets    Permission = "packets"   // the packets as captured
	CanKeys       Permission = "keys"      // session keys
	CanImport     Permission = "import"    // upload captures
	CanAdminister Permission = "administer"
)

// permissionsOf lists what each role may do. A role that is not in it may do nothing.
func permissionsOf(r api.Role) []Permission {
	switch r {
	case api.Admin:
		return []Permission{SignedIn, CanSearch, CanContent, CanPackets, CanKeys, CanImport, CanAdminister}
	case api.Analyst:
		return []Permission{SignedIn, CanSearch, CanContent, CanPackets, CanImport}
	case api.Viewer:
		return []Permission{SignedIn, CanSearch}
	}
	return nil
}

func allowed(r api.Role, p Permission) bool {
	return p == Public || slices.Contains(permissionsOf(r), p)
}
