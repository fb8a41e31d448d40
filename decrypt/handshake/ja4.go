package handshake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Transport is the first character of a JA4 fingerprint: what carried the ClientHello.
type Transport byte

const (
	OverTCP  Transport = 't'
	OverQUIC Transport = 'q'
)

// JA4 returns the fingerprint of the client (github.com/FoxIO-LLC/ja4, technical_details/JA4.md), such as
// t13d1516h2_8daaf6152771_e5627efa2ab1. GREASE is left out everywhere.
func (h *ClientHello) JA4(over Transport) string {
	suites := withoutGREASE(h.CipherSuites)
	extensions := withoutGREASE(h.Extensions)
	sni := byte('i')
	if slices.Contains(extensions, extServerName) {
		sni = 'd'
	}
	prefix := fmt.Sprintf("%c%s%c%02d%02d%s", byte(over), ja4Version(h.MaxVersion()), sni,
		min(len(suites), 99), min(len(extensions), 99), ja4ALPN(h.ALPN))

	// Sorted, because browsers shuffle their extensions; server name and ALPN vary with the destination, and are told in the prefix.
	slices.Sort(suites)
	slices.Sort(extensions)
	extensions = slices.DeleteFunc(extensions, func(t uint16) bool { return t == extServerName || t == extALPN })
	c := appendHexList(make([]byte, 0, 512), extensions)
	// Signature algorithms keep the order of the wire.
	if algorithms := withoutGREASE(h.SignatureAlgorithms); len(algorithms) > 0 && len(extensions) > 0 {
		c = appendHexList(append(c, '_'), algorithms)
	}
	return prefix + "_" + ja4Hash(appendHexList(make([]byte, 0, 256), suites)) + "_" + ja4Hash(c)
}

// ja4Version returns the two characters that stand for a version.
func ja4Version(v uint16) string {
	switch v {
	case TLS13:
		return "13"
	case TLS12:
		return "12"
	case TLS11:
		return "11"
	case TLS10:
		return "10"
	case SSL30:
		return "s3"
	case 0x0002:
		return "s2"
	}
	return "00"
}

// ja4ALPN returns the first and the last character of the first protocol offered; of its hexadecimal form if one of the two
// is no ASCII letter or digit.
func ja4ALPN(names []string) string {
	if len(names) == 0 || names[0] == "" {
		return "00"
	}
	name := names[0]
	if !isAlphanumeric(name[0]) || !isAlphanumeric(name[len(name)-1]) {
		name = hex.EncodeToString([]byte(name))
	}
	return string([]byte{name[0], name[len(name)-1]})
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// ja4Hash returns the first 12 hexadecimal digits of the SHA-256, or zeros for an empty list.
func ja4Hash(b []byte) string {
	if len(b) == 0 {
		return "000000000000"
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

func withoutGREASE(list []uint16) []uint16 {
	kept := make([]uint16, 0, len(list))
	for _, v := range list {
		if !isGREASE(v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// appendHexList appends the values as four hexadecimal digits each, joined by commas.
func appendHexList(b []byte, list []uint16) []byte {
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = hex.AppendEncode(b, []byte{byte(v >> 8), byte(v)})
	}
	return b
}
