// Package target brings what a request asks for into a form in which it can be compared, and compares it with patterns that people
// write. A host and a request target as they were sent come in, hosts, paths and a query go out that mean the same however they were
// written. It is pure, knows nothing of rules, and its cost is linear.
package target

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Target is what a request asks for. Letters have no case in it: servers differ on whether they have one in paths.
type Target struct {
	// Host is a name in its ASCII form or an address, without a port, brackets and the final dot.
	Host string
	// Paths are the ways in which servers read the path: with encoded slashes as they are and, if that differs, with those taken for
	// slashes. They begin with a slash, except for "*" and what is no path.
	Paths []string
	Query string // without its question mark
}

// New reads a target in any of its forms (RFC 9112, section 3.2). A host in it is its own; hosts that a header names are for the
// caller to compare too.
func New(host, raw string) Target {
	if authority, rest, ok := Absolute(raw); ok {
		host, raw = authority, rest
	}
	raw, _, _ = strings.Cut(raw, "#")
	path, query, _ := strings.Cut(raw, "?")
	t := Target{Host: Host(host), Paths: []string{Path(path, false)}, Query: queryForm(query)}
	if read := Path(path, true); read != t.Paths[0] {
		t.Paths = append(t.Paths, read)
	}
	return t
}

// Absolute splits a target that names scheme and authority.
func Absolute(raw string) (authority, rest string, ok bool) {
	i := strings.Index(raw, "://")
	if i <= 0 || strings.ContainsAny(raw[:i], "/?#") {
		return "", raw, false
	}
	rest = raw[i+3:]
	end := strings.IndexAny(rest, "/?#\\")
	if end < 0 {
		return rest, "/", true
	}
	return rest[:end], rest[end:], true
}

// Host brings a host into its form. What is neither a name nor an address stays as it is, in lower case.
func Host(host string) string {
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	host = withoutPort(strings.ToLower(strings.Trim(host, " \t")))
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().WithZone("").String()
	}
	host = strings.TrimRight(host, ".")
	if len(host) > maxName {
		return host
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return strings.TrimRight(ascii, ".")
	}
	return host
}

// maxName is the longest name that there can be (RFC 1035, section 2.3.4). To bring a longer one into its ASCII form would take long.
const maxName = 255

// withoutPort drops the port, and the brackets of an IPv6 address.
func withoutPort(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, _, _ = strings.Cut(inner, "]")
		return inner
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Count(host, ":") == 1 {
		return host[:i]
	}
	return host
}

// Path brings a path into its form: percent-encodings are undone once, except for what would then mean something else; empty and
// dot segments are gone. With slashes, encoded ones and backslashes are taken for slashes, and what follows a semicolon in a
// segment for a parameter, which does not count.
func Path(raw string, slashes bool) string {
	path := decode(raw, slashes)
	if slashes {
		path = slashLike.Replace(path)
	}
	if path != "" && path[0] != '/' && !slashes {
		return canonical(path)
	}
	return canonical(clean(path, slashes))
}

var slashLike = strings.NewReplacer("\\", "/", string(encodedSlash), "/")

// clean drops empty segments, dot segments and, if wanted, parameters.
func clean(path string, parameters bool) string {
	parts := strings.Split(path, "/")
	out := parts[:0]
	last := ""
	for _, part := range parts {
		if parameters {
			part, _, _ = strings.Cut(part, ";")
		}
		switch last = part; part {
		case "", ".":
		case "..":
			out = out[:max(0, len(out)-1)]
		default:
			out = append(out, part)
		}
	}
	cleaned := "/" + strings.Join(out, "/")
	if folder := last == "" || last == "." || last == ".."; folder && len(out) > 0 {
		cleaned += "/"
	}
	return cleaned
}

// queryForm undoes the percent-encodings of a query once.
func queryForm(raw string) string {
	return canonical(strings.ReplaceAll(decode(raw, true), string(encodedSlash), "/"))
}

// encodedSlash stands for %2f where that is to stay apart from a slash. The control character that it is has no meaning of its own.
const encodedSlash = '\x01'

// decode undoes percent-encodings once. An encoded slash becomes one only if slashes is set.
func decode(s string, slashes bool) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, ok := encoded(s[i:])
		switch {
		case !ok:
			b.WriteByte(s[i])
			continue
		case c == '/' && !slashes:
			b.WriteByte(encodedSlash)
		default:
			b.WriteByte(c)
		}
		i += 2
	}
	return b.String()
}

// encoded returns the character that a percent-encoding at the beginning of s stands for.
func encoded(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	c, err := strconv.ParseUint(s[1:3], 16, 8)
	return byte(c), err == nil
}

// canonical writes letters in lower case, and percent-encoded what would otherwise be taken for something else when it is read again.
func canonical(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c == encodedSlash:
			b.WriteString("%2f")
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c | 0x20)
		case c <= ' ' || c >= 0x7f || c == '%' || c == '?' || c == '#':
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

const digits = "0123456789abcdef"
