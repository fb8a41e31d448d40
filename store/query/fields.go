package query

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
)

// Alias is a short name for several fields: a condition on it is true if it is for one of them.
type Alias struct {
	Name   string
	Fields []string
	Doc    string
}

// Aliases are all of them. Not to be changed.
var Aliases = []Alias{
	{"ip", []string{"client.ip", "server.ip"}, "IP address of either side"},
	{"port", []string{"client.port", "server.port"}, "Port of either side"},
	{"host", []string{"http.host", "tls.sni", "dns.name"}, "Name that was asked for, in any protocol"},
	{"body", []string{"http.request.body", "http.response.body", "websocket.body", "smtp.message.text.body", "ftp_data.body"}, "Body of a request, response, message or transfer; of a mail its text"},
}

// wordFields are where a bare word is sought, the cheap ones first.
var wordFields = fieldsNamed(
	"http.host", "tls.sni", "dns.name", "http.url", "http.user_agent", "http.referer", "file.name", "websocket.host", "websocket.url",
	"smtp.mail_from", "smtp.rcpt_to", "smtp.user", "smtp.message.from", "smtp.message.subject", "smtp.message.attachments",
	"ftp.user", "ftp.argument", "ftp_data.path", "ftp_data.name",
	"anomaly.code", "agent", "asset", "process.name", "process.command_line", "container.image", "container.pod", "coverage.library", "coverage.detail", "tls.certificate.subject", "tls.certificate.issuer", "dns.answers",
	"http.request.headers", "http.response.headers", "http.request.body", "http.response.body", "websocket.body", "smtp.message.headers", "smtp.message.text.body", "ftp_data.body", "unknown.to_server", "unknown.to_client")

var addressFields = fieldsNamed("client.ip", "server.ip")

func fieldsNamed(names ...string) []*event.Field {
	var out []*event.Field
	for _, n := range names {
		f, ok := event.FieldByName(n)
		if !ok {
			panic("query: there is no field " + n) // a programming mistake that any test finds
		}
		out = append(out, f)
	}
	return out
}

// isText reports whether a value is found anywhere inside the field instead of having to cover all of it.
func isText(f *event.Field) bool {
	switch _, last, _ := cutLast(f.Name); last {
	case "headers", "trailers", "answers", "authority", "reply", "commands", "refused":
		return true
	}
	return f.Type == event.TypeBytes
}

func cutLast(name string) (before, last string, found bool) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:], true
	}
	return "", name, false
}

// target is the field, or the fields of an alias, that a value belongs to.
type target struct {
	name       string
	fields     []*event.Field
	start, end int
}

// lookUp finds a field or an alias by its name, in any case.
func lookUp(name string, start, end int) (*target, *Error) {
	lower := strings.ToLower(name)
	if f, ok := event.FieldByName(lower); ok {
		return &target{lower, []*event.Field{f}, start, end}, nil
	}
	for _, a := range Aliases {
		if a.Name == lower {
			return &target{lower, fieldsNamed(a.Fields...), start, end}, nil
		}
	}
	e := &Error{Start: start, End: end, Suggestion: nearest(lower)}
	e.Message = fmt.Sprintf("there is no field %s", name)
	if e.Suggestion != "" {
		e.Message += fmt.Sprintf("; did you mean %s?", e.Suggestion)
	} else {
		e.Message += "; put the text in quotes to search for it everywhere"
	}
	return nil, e
}

// nearest returns the name that was probably meant, or "".
func nearest(name string) string {
	type candidate struct {
		name string
		cost int
	}
	var best []candidate
	add := func(known string) {
		switch _, last, dotted := cutLast(known); {
		case dotted && last == name, strings.ReplaceAll(known, ".", "_") == name, strings.HasSuffix(known, "."+name):
			best = append(best, candidate{known, 0})
		default:
			if d := distance(name, known); d <= 1+len(name)/4 {
				best = append(best, candidate{known, d})
			}
		}
	}
	for _, a := range Aliases {
		add(a.Name)
	}
	for i := range event.Fields {
		add(event.Fields[i].Name)
	}
	if len(best) == 0 {
		return ""
	}
	return slices.MinFunc(best, func(a, b candidate) int {
		return cmp.Or(a.cost-b.cost, len(a.name)-len(b.name), strings.Compare(a.name, b.name))
	}).name
}

// maxName bounds the work of distance: no field has a longer name.
const maxName = 64

// distance is how many letters must be inserted, removed, replaced or swapped with their neighbour to turn a into b.
func distance(a, b string) int {
	if len(a) > maxName || len(b) > maxName {
		return maxName
	}
	var before, last, row [maxName + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			d := last[j-1]
			if a[i-1] != b[j-1] {
				d++
			}
			d = min(d, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			row[j] = d
		}
		before, last = last, row
	}
	return last[len(b)]
}
