package ftp

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/vitrine-ndr/vitrine/parse"
)

// Modes of event.FTP.
const (
	passive = "passive"
	active  = "active"
)

// parsePort reads the six numbers of PORT: h1,h2,h3,h4,p1,p2 (RFC 959 section 5.3.2).
func parsePort(text string) (at parse.Listener, ok bool) {
	fields := strings.SplitN(strings.TrimSpace(text), ",", 7)
	if len(fields) != 6 {
		return at, false
	}
	var n [6]byte
	for i, f := range fields {
		v, err := strconv.ParseUint(strings.TrimSpace(f), 10, 8)
		if err != nil {
			return at, false
		}
		n[i] = byte(v)
	}
	at.Address = netip.AddrFrom4([4]byte(n[:4]))
	if at.Address.IsUnspecified() {
		at.Address = netip.Addr{} // some servers do not know their own: it is that of the connection
	}
	at.Port = uint16(n[4])<<8 | uint16(n[5])
	return at, at.Port != 0
}

// parsePASV finds the six numbers in a reply 227: RFC 1123 section 4.1.2.6 says that they stand anywhere in it.
func parsePASV(line string) (parse.Listener, bool) {
	text := textOf(line)
	from := strings.IndexFunc(text, isDigit)
	if from < 0 {
		return parse.Listener{}, false
	}
	text = text[from:]
	if end := strings.IndexFunc(text, func(c rune) bool { return !isDigit(c) && c != ',' && c != ' ' }); end >= 0 {
		text = text[:end]
	}
	return parsePort(text)
}

// parseEPRT reads |1|132.235.1.2|6275| (RFC 2428 section 2).
func parseEPRT(text string) (at parse.Listener, ok bool) {
	f, ok := delimited(text, 5)
	if !ok {
		return at, false
	}
	ip, err := netip.ParseAddr(f[2])
	if err != nil || ip.Zone() != "" || f[1] == "1" != ip.Is4() || f[1] != "1" && f[1] != "2" {
		return at, false
	}
	at.Address = ip
	ok = setPort(&at, f[3])
	return at, ok
}

// parseEPSV finds (|||6446|) in a reply 229 (RFC 2428 section 3).
func parseEPSV(line string) (at parse.Listener, ok bool) {
	_, rest, found := strings.Cut(line, "(")
	inner, _, closed := strings.Cut(rest, ")")
	f, ok := delimited(inner, 5)
	if !found || !closed || !ok {
		return at, false
	}
	ok = setPort(&at, f[3])
	return at, ok
}

// delimited splits a text that begins with its delimiter into n parts.
func delimited(text string, n int) ([]string, bool) {
	if text == "" || text[0] < '!' || text[0] > '~' || isDigit(rune(text[0])) {
		return nil, false
	}
	f := strings.SplitN(text, text[:1], n+1)
	return f, len(f) == n
}

func setPort(at *parse.Listener, text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	at.Port = uint16(n)
	return err == nil && n != 0
}

func isDigit(c rune) bool { return '0' <= c && c <= '9' }
