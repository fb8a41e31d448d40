package hooks

// family is the functions that libraries with the same interface share.
type family struct {
	name      string // of the library, unless its marks tell another
	functions []entryPoint
}

// entryPoint is a function that a library offers, and the program that is made for its shape. Functions that call each other
// are no problem: the programs ignore what a thread does inside a call that they follow already.
type entryPoint struct {
	symbol  string
	program Program
	rare    bool // or not rare: then the library is not followed without it
}

// SSL_clear is not here although it ends a connection: the handshake itself calls it. Nor are functions that neither read nor
// write the socket, such as SSL_pending; nor handshakes and SSL_shutdown,
// when nothing is said yet or any more: every session would pay for them.
var openSSL = family{"openssl", []entryPoint{
	{"SSL_read", Read, false},
	{"SSL_read_ex", ReadEx, false},
	{"SSL_read_early_data", ReadEx, true}, // returns 1, or 2 at the end
	{"SSL_write", Write, false},
	{"SSL_write_ex", WriteEx, false},
	{"SSL_write_ex2", WriteEx2, false}, // since 3.3
	{"SSL_write_early_data", WriteEx, true},
	{"SSL_sendfile", SendFile, true}, // since 3.0
	{"SSL_peek", Window, true},
	{"SSL_peek_ex", Window, true},
	{"SSL_free", Free, true},
}}

// gnutls_record_send_file is not here: it calls gnutls_record_send for each piece. gnutls_record_uncork does so too, but with
// what was told as sent before: as a Window it hides that.
var gnuTLS = family{"gnutls", []entryPoint{
	{"gnutls_record_recv", Read, false},
	{"gnutls_record_recv_seq", Read, true}, // f(handle, buffer, length, *sequence)
	{"gnutls_record_recv_early_data", Read, true},
	{"gnutls_record_send", Write, false},
	{"gnutls_record_send2", Write, false},     // f(handle, buffer, length, padding, flags), since 3.6.3
	{"gnutls_record_send_range", Write, true}, // f(handle, buffer, length, *range)
	{"gnutls_record_send_early_data", Write, true},
	{"gnutls_record_uncork", Window, true},
	{"gnutls_deinit", Free, true},
}}

var nspr = family{"nspr", []entryPoint{
	{"PR_Read", NSPRRead, false},
	{"PR_Recv", NSPRRead, false}, // f(handle, buffer, length, flags, timeout)
	{"PR_Write", NSPRWrite, false},
	{"PR_Send", NSPRWrite, false}, // f(handle, buffer, length, flags, timeout)
	{"PR_Close", NSPRFree, true},
}}

// Functions that tell which library it is, and that are not hooked.
const (
	markBoringSSL = "SSL_CTX_set_custom_verify" // in no other library
	markLibreSSL  = "SSL_CTX_load_verify_mem"   // from OpenBSD
	markNSS       = "SSL_ImportFD"
	markJVM       = "JNI_CreateJavaVM"
	markJava      = "JLI_Launch" // what the java program calls
	markWolfSSL   = "wolfSSL_read"
	markMbedTLS   = "mbedtls_ssl_read"
	markS2N       = "s2n_recv"
)

// families are all that are known, and wanted all names that are worth looking up.
func families() []family { return []family{openSSL, gnuTLS, nspr} }

func wanted() []string {
	all := []string{markBoringSSL, markLibreSSL, markNSS, markJVM, markJava, markWolfSSL, markMbedTLS, markS2N}
	for _, f := range families() {
		for _, e := range f.functions {
			all = append(all, e.symbol)
		}
	}
	return all
}

// data tells whether the program sees plaintext.
func (p Program) data() bool {
	switch p {
	case Window, Free, NSPRFree, GoFree:
		return false
	}
	return true
}

// results tells whether the program looks at results, and so needs an Exit.
func (p Program) results() bool {
	switch p {
	case Free, NSPRFree, GoWrite, GoFree:
		return false
	}
	return true
}
