package content

import "bytes"

// text names the type of content that no signature fits: a text of some kind, or bytes.
func text(b []byte) string {
	if !isText(b) {
		return octetStream
	}
	b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n\f")
	switch {
	case bytes.HasPrefix(b, []byte("#!")):
		return script(b)
	case hasPrefixFold(b, "<?php"):
		return "text/x-php"
	case hasPrefixFold(b, "<?xml"):
		return xml(b)
	case isHTML(b):
		return "text/html"
	case hasPrefixFold(b, "<svg"):
		return "image/svg+xml"
	case isJSON(b):
		return "application/json"
	}
	return plainText
}

// isText says whether b has none of the bytes that never occur in text (the binary data bytes of the WHATWG's MIME
// sniffing standard), or is UTF-16 with a byte order mark.
func isText(b []byte) bool {
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}) {
		return true
	}
	for _, c := range b {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r' && c != 0x1b {
			return false
		}
	}
	return true
}

// script names the interpreter in the first line.
func script(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	for _, k := range [...]struct{ name, media string }{
		{"python", "text/x-python"}, {"perl", "text/x-perl"}, {"ruby", "text/x-ruby"}, {"php", "text/x-php"},
		{"node", "text/javascript"}, {"sh", "text/x-shellscript"},
	} {
		if bytes.Contains(line, []byte(k.name)) {
			return k.media
		}
	}
	return plainText
}

func xml(b []byte) string {
	switch {
	case bytes.Contains(b, []byte("<svg")):
		return "image/svg+xml"
	case bytes.Contains(b, []byte("<html")):
		return "text/html"
	}
	return "text/xml"
}

// isHTML looks for the tags that the MIME sniffing standard names, followed by a space or the end of the tag.
func isHTML(b []byte) bool {
	if hasPrefixFold(b, "<!--") {
		return true
	}
	for _, tag := range [...]string{"<!doctype html", "<html", "<head", "<body", "<script", "<iframe", "<h1", "<div", "<font", "<table",
		"<a", "<style", "<title", "<b", "<br", "<p"} {
		if hasPrefixFold(b, tag) && len(b) > len(tag) && (b[len(tag)] == ' ' || b[len(tag)] == '>' || b[len(tag)] == '\n' || b[len(tag)] == '\r') {
			return true
		}
	}
	return false
}

// isJSON says whether b begins as an object or an array does: [1] is one, [text] is none.
func isJSON(b []byte) bool {
	if len(b) == 0 || b[0] != '{' && b[0] != '[' {
		return false
	}
	rest := bytes.TrimLeft(b[1:], " \t\r\n")
	switch {
	case len(rest) == 0:
		return false
	case b[0] == '{':
		return rest[0] == '"' || rest[0] == '}'
	case bytes.IndexByte([]byte(`{["-0123456789]`), rest[0]) >= 0:
		return true
	}
	return bytes.HasPrefix(rest, []byte("true")) || bytes.HasPrefix(rest, []byte("false")) || bytes.HasPrefix(rest, []byte("null"))
}

// hasPrefixFold compares ASCII letters without regard to case. The prefix is in lower case.
func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && bytes.EqualFold(b[:len(prefix)], []byte(prefix))
}
