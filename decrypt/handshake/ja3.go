package handshake

import (
	"crypto/md5"
	"encoding/hex"
	"strconv"
)

// JA3 returns the fingerprint of the client (github.com/salesforce/ja3): the MD5 of version, cipher suites, extensions, groups
// and point formats in decimal, GREASE left out.
func (h *ClientHello) JA3() string {
	b := make([]byte, 0, 512)
	b = strconv.AppendUint(b, uint64(h.Version), 10)
	for _, list := range [...][]uint16{h.CipherSuites, h.Extensions, h.Groups} {
		b = append(b, ',')
		b = appendDecimals(b, list)
	}
	b = append(b, ',')
	for i, f := range h.PointFormats {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(f), 10)
	}
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// JA3S returns the fingerprint of the server's answer: the MD5 of version, cipher suite and extensions. Like JA3 it takes the legacy
// version, so TLS 1.3 counts as 771.
func (h *ServerHello) JA3S() string {
	b := make([]byte, 0, 128)
	b = strconv.AppendUint(b, uint64(h.LegacyVersion), 10)
	b = append(b, ',')
	b = strconv.AppendUint(b, uint64(h.CipherSuite), 10)
	b = append(b, ',')
	b = appendDecimals(b, h.Extensions)
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// appendDecimals appends the values joined by dashes, GREASE left out: clients choose it at random, and it would change the
// fingerprint from one connection to the next.
func appendDecimals(b []byte, list []uint16) []byte {
	first := true
	for _, v := range list {
		if isGREASE(v) {
			continue
		}
		if !first {
			b = append(b, '-')
		}
		first = false
		b = strconv.AppendUint(b, uint64(v), 10)
	}
	return b
}
