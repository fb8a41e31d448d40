package hooks

import (
	"fmt"
	"slices"
	"strings"
)

// marks is what the constants of a file tell of the libraries in it.
type marks struct {
	version map[string]string // of the library
	has     map[string]bool   // the marks below
}

// Constants that tell that code of a library is in the file, although its symbols may be gone.
const (
	codeOpenSSL   = "ssl_lib.c\x00"  // a source file, for error messages; LibreSSL has it too
	codeBoringSSL = "ssl_lib.cc\x00" // likewise
	codeRustls    = "/rustls-0."     // a folder of sources, for panics
	codeTLS13     = "c hs traffic"   // RFC 8446 section 7.1: who derives keys needs it
)

// versionMarks come before a library's version.
var versionMarks = []struct{ library, before string }{
	{"openssl", "OpenSSL 0."}, {"openssl", "OpenSSL 1."}, {"openssl", "OpenSSL 3."}, {"openssl", "OpenSSL 4."},
	{"libressl", "LibreSSL "},
	{"gnutls", "Enabled GnuTLS "},
}

func (img *image) marks() *marks {
	m := &marks{version: make(map[string]string), has: make(map[string]bool)}
	patterns := []string{codeOpenSSL, codeBoringSSL, codeRustls, codeTLS13}
	code := len(patterns)
	for _, v := range versionMarks {
		patterns = append(patterns, v.before)
	}
	s := newSearch(patterns)
	for _, part := range img.constants {
		s.run(img.file, part, func(pattern int, _ uint64, text []byte) {
			if pattern < code {
				m.has[patterns[pattern]] = true
				return
			}
			mark := versionMarks[pattern-code]
			after := text[strings.LastIndexByte(mark.before, ' ')+1:]
			if v := leadingVersion(string(after)); m.version[mark.library] == "" {
				m.version[mark.library] = v
			}
		})
	}
	return m
}

// leadingVersion returns the version at the start of a text, such as 1.0.2u-fips, or nothing: texts that speak of OpenSSL 3.0
// in general are not about what is linked.
func leadingVersion(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r == '.' || r == '-')
	})
	if end < 0 || strings.Count(text[:end], ".") != 2 {
		return ""
	}
	return text[:end]
}

// identify tells what is behind the interface that was found.
func (lib *Library) identify(found *names, m *marks) {
	switch {
	case lib.Name == openSSL.name && found.defined[markBoringSSL] != nil:
		lib.Name = "boringssl" // which has no versions
		return
	case lib.Name == openSSL.name && (found.defined[markLibreSSL] != nil || m.version["libressl"] != ""):
		lib.Name = "libressl"
	}
	lib.Version = m.version[lib.Name]
	if lib.Name == openSSL.name && lib.Version == "" {
		lib.Version = symbolVersion(found.versions)
	}
}

// symbolVersion returns the highest OpenSSL version of symbols. It is what libssl.so tells: the text is in libcrypto.so. Since
// 3.0 the last number says only when the latest function came.
func symbolVersion(all []string) string {
	highest := ""
	for _, v := range all {
		v = strings.ReplaceAll(strings.TrimPrefix(v, "OPENSSL_"), "_", ".")
		highest = max(highest, v)
	}
	if parts := strings.SplitN(highest, ".", 3); len(parts) == 3 && parts[0] != "0" && parts[0] != "1" {
		return parts[0] + "." + parts[1]
	}
	return highest
}

// whyNot says why a file has no hooks.
func whyNot(found *names, m *marks) error {
	imports := func(symbol string) bool { return found.imported[symbol] }
	switch {
	case found.defined[markJVM] != nil || found.defined[markJava] != nil || found.imported[markJava]:
		return &Obstacle{Cause: Java, err: fmt.Errorf("%w: a Java virtual machine, whose TLS (JSSE) is Java code", ErrUnknown)}
	case found.defined[markNSS] != nil:
		return fmt.Errorf("%w: NSS, whose connections are followed in libnspr4", ErrNoTLS)
	case found.defined[markWolfSSL] != nil:
		return foreign("wolfSSL")
	case found.defined[markMbedTLS] != nil:
		return foreign("Mbed TLS")
	case found.defined[markS2N] != nil:
		return foreign("s2n")
	case slices.ContainsFunc(wanted(), imports):
		return fmt.Errorf("%w: the file uses that of a shared library", ErrNoTLS)
	case m.has[codeBoringSSL]:
		return stripped("BoringSSL", "")
	case m.has[codeOpenSSL], m.has[codeTLS13] && m.version["openssl"] != "":
		if v := m.version["libressl"]; v != "" {
			return stripped("LibreSSL", v)
		}
		return stripped("OpenSSL", m.version["openssl"])
	case m.has[codeRustls]:
		return foreign("rustls")
	case m.has[codeTLS13]:
		return &Obstacle{Cause: UnknownCode, err: fmt.Errorf("%w: there is code of TLS 1.3, of which library can't be told", ErrUnknown)}
	}
	return ErrNoTLS
}
