package hooks

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pushes are functions of 16 bytes that the kernel emulates the first instruction of: push %rbx; pop %rbx; ret.
func pushes(names ...string) testFile {
	f := testFile{sections: true}
	for i, name := range names {
		f.functions = append(f.functions, testFunction{name, 16 * i, 3})
		f.code = append(f.code, 0x53, 0x5b, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc)
	}
	return f
}

func TestFind(t *testing.T) {
	hook := func(p Program, symbol string, at uint64) Hook {
		h := Hook{Program: p, Symbol: symbol, Enter: codeOffset + at}
		if p.results() {
			h.Exit, h.Trampoline = []uint64{codeOffset + at}, true
		}
		return h
	}
	openssl := pushes("SSL_read", "SSL_write", "SSL_free", "SSL_pending")
	openssl.constants = "OpenSSL 3.0 is fine\x00OpenSSL 1.0.2u-fips  20 Dec 2019\x00"
	want := []Hook{hook(Read, "SSL_read", 0), hook(Write, "SSL_write", 16), hook(Free, "SSL_free", 32)}
	local, bare, arm := openssl, openssl, openssl
	local.local = true
	bare.sections, arm.machine = false, elf.EM_AARCH64
	imports := pushes("SSL_read", "SSL_write")
	imports.functions = append(imports.functions, testFunction{"gnutls_record_send", -1, 0})
	boring := pushes("SSL_write", markBoringSSL)
	boring.constants = "OpenSSL 1.1.1 (compatible; BoringSSL)\x00"
	libre := pushes("SSL_read", markLibreSSL)
	libre.constants = "LibreSSL 3.8.2\x00"
	gnutls := pushes("gnutls_record_recv", "gnutls_record_uncork")
	gnutls.constants = "Enabled GnuTLS 3.7.9 logging...\x00"
	several := pushes("PR_Write", "SSL_read")
	versions := pushes("SSL_read", "OPENSSL_1_1_0", "OPENSSL_1_1_1", "OPENSSL_1_1_0d")

	for name, test := range map[string]struct {
		file testFile
		want []Library
	}{
		"symbols for other files":  {openssl, []Library{{"openssl", "1.0.2u-fips", want}}},
		"symbols for debuggers":    {local, []Library{{"openssl", "1.0.2u-fips", want}}},
		"no sections":              {bare, []Library{{"openssl", "1.0.2u-fips", want}}},
		"arm64":                    {arm, []Library{{"openssl", "1.0.2u-fips", want}}},
		"another library is used":  {imports, []Library{{"openssl", "", []Hook{hook(Read, "SSL_read", 0), hook(Write, "SSL_write", 16)}}}},
		"BoringSSL":                {boring, []Library{{"boringssl", "", []Hook{hook(Write, "SSL_write", 0)}}}},
		"LibreSSL":                 {libre, []Library{{"libressl", "3.8.2", []Hook{hook(Read, "SSL_read", 0)}}}},
		"GnuTLS":                   {gnutls, []Library{{"gnutls", "3.7.9", []Hook{hook(Read, "gnutls_record_recv", 0), hook(Window, "gnutls_record_uncork", 16)}}}},
		"several":                  {several, []Library{{"openssl", "", []Hook{hook(Read, "SSL_read", 16)}}, {"nspr", "", []Hook{hook(NSPRWrite, "PR_Write", 0)}}}},
		"a version of its symbols": {versions, []Library{{"openssl", "1.1.1", []Hook{hook(Read, "SSL_read", 0)}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.file.find(t, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestFindSaysWhyNot(t *testing.T) {
	with := func(constants string, functions ...testFunction) testFile {
		return testFile{sections: true, code: []byte{0xc3}, constants: constants, functions: functions}
	}
	outside := pushes("SSL_read")
	outside.functions[0].at = 1 << 20
	for name, test := range map[string]struct {
		file testFile
		want error
		says string
		in   string // the Obstacle: cause, library and version
	}{
		"nothing":                      {with("hello\x00"), ErrNoTLS, "no TLS library", ""},
		"no data":                      {pushes("SSL_free", "SSL_do_handshake"), ErrNoTLS, "no TLS library", ""},
		"a shared library":             {with("OpenSSL 3.0.2 15 Mar 2022\x00", testFunction{"SSL_write", -1, 0}), ErrNoTLS, "shared library", ""},
		"NSS":                          {pushes(markNSS), ErrNoTLS, "libnspr4", ""},
		"a JVM":                        {pushes(markJVM), ErrUnknown, "Java", "java"},
		"the java program":             {with("", testFunction{markJava, -1, 0}), ErrUnknown, "Java", "java"},
		"wolfSSL":                      {pushes(markWolfSSL), ErrUnknown, "wolfSSL", "other_library wolfssl"},
		"Mbed TLS":                     {pushes(markMbedTLS), ErrUnknown, "Mbed TLS", "other_library mbedtls"},
		"s2n":                          {pushes(markS2N), ErrUnknown, "s2n", "other_library s2n"},
		"rustls":                       {with("/cargo/registry/rustls-0.23.40/src/lib.rs"), ErrUnknown, "rustls", "other_library rustls"},
		"some TLS 1.3":                 {with("c hs traffic"), ErrUnknown, "TLS 1.3", "unknown_code"},
		"stripped OpenSSL":             {with("../ssl/ssl_lib.c\x00OpenSSL 3.5.4 30 Sep 2025\x00"), ErrNoSymbols, "OpenSSL 3.5.4", "stripped openssl 3.5.4"},
		"stripped LibreSSL":            {with("ssl_lib.c\x00LibreSSL 4.0.0\x00"), ErrNoSymbols, "LibreSSL 4.0.0", "stripped libressl 4.0.0"},
		"OpenSSL without file names":   {with("c hs traffic\x00OpenSSL 3.5.4 30 Sep 2025\x00"), ErrNoSymbols, "OpenSSL 3.5.4", "stripped openssl 3.5.4"},
		"stripped BoringSSL":           {with("../boringssl/ssl/ssl_lib.cc\x00"), ErrNoSymbols, "BoringSSL", "stripped boringssl"},
		"a function that is not there": {outside, ErrUnsupported, "SSL_read", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.file.find(t, Options{})
			if got != nil || !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("found %v, %v; want %v with %q", got, err, test.want, test.says)
			}
			in := ""
			if o, ok := errors.AsType[*Obstacle](err); ok {
				in = strings.TrimSpace(fmt.Sprintf("%s %s %s", o.Cause, o.Library, o.Version))
			}
			if in != test.in {
				t.Errorf("the obstacle is %q, want %q", in, test.in)
			}
		})
	}
}

func TestFindInOtherFiles(t *testing.T) {
	big, mips, object := pushes("SSL_read").bytes(t), pushes("SSL_read").bytes(t), pushes("SSL_read").bytes(t)
	big[elf.EI_DATA], mips[18], object[16] = byte(elf.ELFDATA2MSB), byte(elf.EM_MIPS), byte(elf.ET_REL)
	for name, test := range map[string]struct {
		content []byte
		want    error
	}{
		"empty":         {nil, ErrNoTLS},
		"a script":      {[]byte("#!/bin/sh\necho hello world\n"), ErrNoTLS},
		"cut off":       {[]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00"), ErrNoTLS},
		"32-bit":        {[]byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x03\x00"), ErrUnsupported},
		"big-endian":    {big, ErrUnsupported},
		"another CPU":   {mips, ErrUnsupported},
		"object file":   {object, ErrNoTLS},
		"only a header": {pushes("SSL_read").bytes(t)[:64], ErrNoTLS},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Find(bytes.NewReader(test.content), int64(len(test.content)), Options{})
			if !errors.Is(err, test.want) || got != nil {
				t.Errorf("found %v, %v; want %v", got, err, test.want)
			}
		})
	}
}
