// Package altsvc takes out of what servers say that they are there by QUIC too (RFC 7838), for clients that would not get there by it.
// Values and lines of HTTP/1 come in, the same without those announcements goes out. It knows nothing of who is to be told what.
package altsvc

import (
	"net/url"
	"strings"
)

// Name is that of the field, in the form in which HTTP/2 has it.
const Name = "alt-svc"

// Without returns the value without the alternatives that are reached by QUIC: the value itself if there are none, nothing if there are
// no others.
func Without(value string) string {
	if !mayAnnounce(value) {
		return value
	}
	var kept []string
	changed := false
	for rest := value; rest != ""; {
		var one string
		if one, rest = next(rest); byQUIC(one) {
			changed = true
		} else if one = strings.Trim(one, " \t"); one != "" {
			kept = append(kept, one)
		}
	}
	if !changed {
		return value
	}
	return strings.Join(kept, ", ")
}

// mayAnnounce rules out most values that announce something else.
func mayAnnounce(value string) bool { return strings.ContainsAny(value, "hqHQ%") }

// next cuts off the first alternative, at the first comma that is in no quotes.
func next(list string) (first, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return list, ""
}

// byQUIC tells whether an alternative is HTTP/3, a draft of it, or what was there before. Some clients take a name for what it means, however
// it is spelt.
func byQUIC(alternative string) bool {
	name, _, _ := strings.Cut(alternative, "=")
	name = strings.ToLower(strings.Trim(name, " \t"))
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	first, _, _ := strings.Cut(name, "-")
	return first == "h3" || first == "hq" || first == "quic"
}
