package mail

import (
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// maxWord is how long an encoded word may be in bytes. RFC 2047 section 2 allows 75, which not all senders know.
const maxWord = 1 << 10

// words decodes the encoded words in a header field (RFC 2047). What can't be decoded stays as it is.
func words(s string) string {
	var out, raw strings.Builder
	charset := "" // that of raw: encoded words that follow each other may be one text, cut anywhere
	flush := func() {
		out.WriteString(toUTF8(charset, raw.String()))
		charset = ""
		raw.Reset()
	}
	for {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		w, ok := encodedWord(s[i:])
		if !ok {
			flush()
			out.WriteString(s[:i+2])
			s = s[i+2:]
			continue
		}
		adjacent := charset != "" && strings.Trim(s[:i], " \t") == ""
		if !adjacent || charset != w.charset {
			flush()
		}
		if !adjacent {
			out.WriteString(s[:i])
		}
		charset = w.charset
		raw.WriteString(w.raw)
		s = s[i+w.length:]
	}
	flush()
	out.WriteString(s)
	return out.String()
}

// word is an encoded word.
type word struct {
	charset, raw string
	length       int // of its encoded form
}

// encodedWord reads the encoded word that s begins with.
func encodedWord(s string) (word, bool) {
	s = s[:min(len(s), maxWord)]
	charset, rest, ok := strings.Cut(s[2:], "?")
	if !ok || charset == "" || len(rest) < 2 || rest[1] != '?' {
		return word{}, false
	}
	text, after, ok := strings.Cut(rest[2:], "?=")
	if !ok {
		return word{}, false
	}
	charset, _, _ = strings.Cut(charset, "*") // a language, RFC 2231 section 5
	w := word{charset: strings.ToLower(charset), length: len(s) - len(after)}
	switch rest[0] | 0x20 {
	case 'b':
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
		w.raw, ok = string(b), err == nil
	case 'q':
		w.raw = unescape(strings.ReplaceAll(text, "_", " "), '=')
	default:
		ok = false
	}
	return w, ok
}

// unescape undoes escapes of two hexadecimal digits behind a mark. Others stay as they are.
func unescape(s string, mark byte) string {
	if strings.IndexByte(s, mark) < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == mark && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// charsetDecoder returns what turns a charset into UTF-8, nil if nothing is to be done or can be.
func charsetDecoder(charset string) *encoding.Decoder {
	switch charset = strings.ToLower(charset); charset {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return nil
	}
	e, err := htmlindex.Get(charset)
	if err != nil {
		return nil
	}
	return e.NewDecoder()
}

func toUTF8(charset, s string) string {
	if d := charsetDecoder(charset); d != nil {
		if text, err := d.String(s); err == nil {
			return text
		}
	}
	return s
}

// extended returns a parameter that may be in pieces and in a charset of its own (RFC 2231), or else be an encoded word, which
// is not allowed there and common.
func extended(ps map[string]string, name string) string {
	if v, ok := ps[name+"*"]; ok {
		charset, v := extendedValue(v)
		return toUTF8(charset, unescape(v, '%'))
	}
	var charset string
	var joined strings.Builder
	for i := 0; ; i++ {
		piece := name + "*" + strconv.Itoa(i)
		if v, ok := ps[piece+"*"]; ok {
			if i == 0 {
				charset, v = extendedValue(v)
			}
			joined.WriteString(unescape(v, '%'))
		} else if v, ok := ps[piece]; ok {
			joined.WriteString(v)
		} else {
			break
		}
	}
	if joined.Len() > 0 {
		return toUTF8(charset, joined.String())
	}
	return words(ps[name])
}

// extendedValue splits charset'language'value.
func extendedValue(s string) (charset, value string) {
	charset, rest, _ := strings.Cut(s, "'")
	if _, value, ok := strings.Cut(rest, "'"); ok {
		return charset, value
	}
	return "", s
}
