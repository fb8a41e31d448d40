package detect

import (
	"iter"
	"strings"
)

// headers are the values of the request's header fields of that name.
func (q *question) headers(name string) iter.Seq[string] { return values(q.http.Request.Headers, name) }

// header is the first of those, in lower case, or empty.
func (q *question) header(name string) string {
	for v := range q.headers(name) {
		return strings.ToLower(v)
	}
	return ""
}

func (q *question) hasHeader(name string) bool {
	for range q.headers(name) {
		return true
	}
	return false
}

func values(lines []string, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) && !yield(strings.TrimSpace(v)) {
				return
			}
		}
	}
}
