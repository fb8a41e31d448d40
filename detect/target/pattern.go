package target

import (
	"errors"
	"fmt"
	"strings"
)

// Pattern fits targets: example.com/upload/* and its like. Its host is a name, *.name for all names below it, or *; a star in path and
// query stands for any characters. Without a path it fits all of them, without a query every one.
type Pattern struct {
	host  string // without "*."
	below bool
	path  glob // nil: any
	query glob // nil: any
}

// ParsePattern reads a pattern.
func ParsePattern(text string) (Pattern, error) {
	if strings.Contains(text, "://") {
		return Pattern{}, fmt.Errorf("pattern %q: leave out the scheme: example.com/upload/*", text)
	}
	rest, query, hasQuery := strings.Cut(text, "?")
	host, path, hasPath := strings.Cut(rest, "/")
	p := Pattern{}
	switch name, below := strings.CutPrefix(host, "*."); {
	case host == "*":
		p.below = true
	case name == "" || strings.Contains(name, "*"):
		return Pattern{}, fmt.Errorf("pattern %q: the host must be a name, *. and a name, or *", text)
	default:
		p.host, p.below = Host(name), below
	}
	if p.host == "" && !p.below {
		return Pattern{}, errors.New("pattern without a host")
	}
	if hasPath {
		p.path = newGlob("/"+path, func(s string) string { return Path(s, false) })
	}
	if hasQuery {
		p.query = newGlob(query, queryForm)
	}
	return p, nil
}

// FitsHost tells whether the host is one of those that the pattern is about.
func (p *Pattern) FitsHost(host string) bool {
	if !p.below || p.host == "" {
		return p.below || host == p.host
	}
	return len(host) > len(p.host) && host[len(host)-len(p.host)-1] == '.' && strings.HasSuffix(host, p.host)
}

// Fits tells whether a target fits.
func (p *Pattern) Fits(t *Target) bool {
	if !p.FitsHost(t.Host) || p.query != nil && !p.query.fits(t.Query) {
		return false
	}
	for _, path := range t.Paths {
		if p.path == nil || p.path.fits(path) {
			return true
		}
	}
	return false
}

// glob is what stands between stars.
type glob []string

// newGlob brings the text into the form of what it is compared with. The stars stay as they are.
func newGlob(text string, form func(string) string) glob {
	return strings.Split(form(text), "*")
}

func (g glob) fits(s string) bool {
	first, last := g[0], g[len(g)-1]
	if len(g) == 1 {
		return s == first
	}
	if !strings.HasPrefix(s, first) || len(s) < len(first)+len(last) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range g[1 : len(g)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}
