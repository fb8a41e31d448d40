package server

import (
	"reflect"
	"slices"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/state"
)

// Permission is a verb that a route asks for.
type Permission string

const (
	Public        Permission = ""           // nobody need be signed in
	SignedIn      Permission = "signed_in"  // any account or token
	CanSearch     Permission = "search"     // facts of connections and transactions
	CanContent    Permission = "content"    // what was said: URLs, headers, bodies, plaintext packets
	CanPackets    Permission = "packets"    // packets as they were captured
	CanKeys       Permission = "keys"       // session keys
	CanImport     Permission = "import"     // uploading captures
	CanAdminister Permission = "administer" // accounts, the tokens of others, the audit trail and whose plaintext the probe takes
)

// permissionsOf lists what a role may do. A role that it does not know may do nothing.
func permissionsOf(r state.Role) []Permission {
	switch r {
	case state.Admin:
		return []Permission{SignedIn, CanSearch, CanContent, CanPackets, CanKeys, CanImport, CanAdminister}
	case state.Analyst:
		return []Permission{SignedIn, CanSearch, CanContent, CanPackets, CanImport}
	case state.Viewer:
		return []Permission{SignedIn, CanSearch}
	}
	return nil
}

// principal is who makes a request.
type principal struct {
	name           string // account, or "token:" and the token's name
	role           state.Role
	token, session string      // the secret that was shown; one of them is empty
	issued         state.Token // valid iff token is not empty
}

func (p principal) may(x Permission) bool { return slices.Contains(permissionsOf(p.role), x) }

// mayGive reports whether a role lets do nothing that the principal itself may not.
func (p principal) mayGive(r state.Role) bool {
	return !slices.ContainsFunc(permissionsOf(r), func(x Permission) bool { return !p.may(x) })
}

// isContent reports whether a field holds what was said in a connection, or could: who may not read content neither sees nor
// searches it.
func isContent(f *event.Field) bool {
	if f.Type == event.TypeBytes {
		return true
	}
	switch f.Name {
	case "http.url", "http.referer", "http.request.headers", "http.request.trailers", "http.response.headers", "http.response.trailers",
		"file.url", "file.name", "finding.url", "websocket.url", "smtp.message.subject", "smtp.message.attachments", "smtp.message.headers", "ftp.argument", "ftp.path", "ftp.reply", "ftp_data.name", "ftp_data.path",
		"process.command_line":
		return true
	}
	return false
}

// withoutContent returns the record as somebody sees it who may not read content. The record itself stays as it is: others
// hold it too.
func withoutContent(r *event.Record) *event.Record { return without(r, isContent) }

// isSingle reports whether a field comes with its event alone, never in bulk: bodies and the headers, where passwords and
// cookies are.
func isSingle(f *event.Field) bool {
	if f.Type == event.TypeBytes {
		return true
	}
	switch f.Name {
	case "http.request.headers", "http.request.trailers", "http.response.headers", "http.response.trailers":
		return true
	}
	return false
}

// withoutSingles returns the record as a list shows it to somebody who may read content.
func withoutSingles(r *event.Record) *event.Record { return without(r, isSingle) }

// without copies the record and empties the fields that drop names.
func without(r *event.Record, drop func(*event.Field) bool) *event.Record {
	out := *r
	copyParts(reflect.ValueOf(&out).Elem())
	for i := range event.Fields {
		f := &event.Fields[i]
		if v := f.Value(&out); v.IsValid() && !v.IsZero() && drop(f) {
			f.Set(&out, reflect.Zero(v.Type()))
		}
	}
	return &out
}

// copyParts replaces the structs that v points to by copies.
func copyParts(v reflect.Value) {
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() && f.Elem().Kind() == reflect.Struct {
			part := reflect.New(f.Type().Elem())
			part.Elem().Set(f.Elem())
			f.Set(part)
			copyParts(part.Elem())
		}
	}
}
