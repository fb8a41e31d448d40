package content

import (
	"net/url"
	"strconv"
	"strings"
)

// Header returns the value of the first header line with that name, in lower case.
func Header(lines []string, name string) (string, bool) {
	for _, line := range lines {
		if value, ok := valueOf(line, name); ok {
			return value, true
		}
	}
	return "", false
}

// List returns the values of all header lines with that name, which is one list by RFC 9110 section 5.3.
func List(lines []string, name string) string {
	list := ""
	for _, line := range lines {
		if value, ok := valueOf(line, name); ok {
			list = join(list, value)
		}
	}
	return list
}

func valueOf(line, name string) (string, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !strings.EqualFold(line[:len(name)], name) {
		return "", false
	}
	return strings.Trim(line[len(name)+1:], " \t"), true
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// mediaType returns the type in a Content-Type header, without parameters.
func mediaType(value string) string {
	value, _, _ = strings.Cut(value, ";")
	return lower(strings.Trim(value, " \t"))
}

// splitAuthority returns host and port, or the port 0 if there is none.
func splitAuthority(authority string) (string, uint16) {
	host := authority
	var port uint16
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && i > strings.LastIndexByte(authority, ']') {
		host = authority[:i]
		if n, err := strconv.ParseUint(authority[i+1:], 10, 16); err == nil {
			port = uint16(n)
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return lower(strings.TrimSuffix(host, ".")), port
}

// lower changes the letters A to Z. strings.ToLower would destroy what is no UTF-8.
func lower(s string) string {
	if strings.IndexFunc(s, isUpper) < 0 {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if isUpper(rune(c)) {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

func isUpper(c rune) bool { return 'A' <= c && c <= 'Z' }

// targetAuthority returns the authority of a target in absolute form, or in the authority form of CONNECT.
func targetAuthority(method, target string) (string, bool) {
	if method == "CONNECT" && !strings.HasPrefix(target, "/") { // extended CONNECT has a path (RFC 8441)
		return target, true
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || scheme == "" || strings.ContainsAny(scheme, "/?#") {
		return "", false
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:], true
}

// targetName returns the last segment of a target's path, its escapes undone.
func targetName(target string) string {
	if _, rest, ok := strings.Cut(target, "://"); ok && !strings.HasPrefix(target, "/") {
		_, target, _ = strings.Cut(rest, "/")
	}
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	return baseName(unescape(target[strings.LastIndexByte(target, '/')+1:]))
}

// dispositionName returns the file name in a Content-Disposition header, the extended form first (RFC 6266 section 4.3).
func dispositionName(value string) string {
	if extended, ok := parameter(value, "filename*"); ok {
		if _, rest, ok := strings.Cut(extended, "'"); ok {
			if _, name, ok := strings.Cut(rest, "'"); ok {
				return baseName(unescape(name))
			}
		}
	}
	name, _ := parameter(value, "filename")
	return baseName(name)
}

// unescape undoes percent-escapes, all or none.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// baseName drops folders: a sender that names some wants the file elsewhere than its recipient does.
func baseName(name string) string { return name[strings.LastIndexAny(name, `/\`)+1:] }

// parameter returns the parameter of a header value such as `form-data; name="a"; filename="b"`.
func parameter(value, name string) (string, bool) {
	_, rest, _ := strings.Cut(value, ";")
	for rest != "" {
		rest = strings.TrimLeft(rest, " \t;")
		end := strings.IndexAny(rest, "=;")
		if end < 0 {
			return "", false
		}
		key := strings.TrimRight(rest[:end], " \t")
		var v string
		if rest[end] == '=' {
			v, rest = parameterValue(strings.TrimLeft(rest[end+1:], " \t"))
			if strings.EqualFold(key, name) {
				return v, true
			}
			continue
		}
		rest = rest[end:]
	}
	return "", false
}

// parameterValue returns a token or quoted string and what follows it. A backslash is an escape before a quote or a
// backslash only: browsers once sent Windows paths as they are.
func parameterValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return strings.TrimRight(value, " \t"), rest
	}
	var v strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return v.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			v.WriteByte(s[i])
		default:
			v.WriteByte(s[i])
		}
	}
	return v.String(), ""
}
