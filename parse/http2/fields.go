package http2

import "slices"

// Pseudo-header fields (RFC 9113, section 8.3; :protocol RFC 8441).
const (
	pseudoMethod = iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoProtocol
	pseudoStatus
	pseudoCount
)

var pseudoNames = [pseudoCount]string{":method", ":scheme", ":authority", ":path", ":protocol", ":status"}

// fields are what a header block says.
type fields struct {
	pseudo [pseudoCount]string
	has    [pseudoCount]bool
	lines  []string // name: value, in order
	lost   bool     // some are not known
	odd    []string // anomalies

	room    int // for names and values, as RFC 7541 counts them
	regular bool
}

// any reports whether there is a pseudo-header field.
func (m *fields) any() bool { return m.has != [pseudoCount]bool{} }

// add takes the next field line. It returns false once there is no room for more.
func (m *fields) add(f field) bool {
	if f.unknown {
		m.lost = true
		return true
	}
	if m.room -= f.size(); m.room < 0 {
		m.note(headersTooLarge)
		return false
	}
	if len(f.name) > 0 && f.name[0] == ':' {
		m.addPseudo(f)
		return true
	}
	m.regular = true
	if !validName(f.name) || !validValue(f.value) {
		m.note(badHeader)
	}
	switch f.name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		m.note(connectionHeader)
	case "te":
		if f.value != "trailers" {
			m.note(connectionHeader)
		}
	}
	m.lines = append(m.lines, f.name+": "+f.value)
	return true
}

func (m *fields) addPseudo(f field) {
	i := slices.Index(pseudoNames[:], f.name)
	if i < 0 || m.has[i] || m.regular || !validValue(f.value) {
		m.note(badPseudoHeader)
	}
	if i >= 0 && !m.has[i] {
		m.pseudo[i], m.has[i] = f.value, true
	}
}

// note remembers an anomaly, once.
func (m *fields) note(code string) {
	if !slices.Contains(m.odd, code) {
		m.odd = append(m.odd, code)
	}
}

// validName reports whether a name is a token in lower case (sections 8.2.1 and 8.2).
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == ':' || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return s != ""
}

// validValue reports whether a value has nothing that would end a line of HTTP/1.1 (section 8.2.1).
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == 0 || c == '\r' || c == '\n' {
			return false
		}
	}
	return true
}
