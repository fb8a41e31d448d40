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
}

// SSL_clear is not here although it ends a connection: the handshake itself calls it. Nor are functions that neither read nor
// write the socket, such as SSL_pending.
var openSSL = family{"openssl", []entryPoint{
	{"SSL_read", Read},
	{"SSL_read_ex", ReadEx},
	{"SSL_read_early_data", ReadEx}, // returns 1, or 2 at the end
	{"SSL_write", Write},
	{"SSL_write_ex", WriteEx},
	{"SSL_write_ex2", WriteEx2}, // since 3.3
	{"SSL_write_early_data", WriteEx},
	{"SSL_sendfile", SendFile}, // since 3.0
	{"SSL_do_handshake", Window},
	{"SSL_connect", Window},
	{"SSL_accept", Window},
	{"SSL_shutdown", Window},
	{"SSL_peek", Window},
	{"SSL_peek_ex", Window},
	{"SSL_free", Free},
}}

// gnutls_record_send_file is not here: it calls gnutls_record_send for each piece. gnutls_record_uncork does so too, but with
// what was told as sent before: as a Window it hides that.
var gnuTLS = family{"gnutls", []entryPoint{
	{"gnutls_record_recv", Read},
	{"gnutls_record_recv_seq", Read}, // f(handle, buffer, length, *sequence)
	{"gnutls_record_recv_early_data", Read},
	{"gnutls_record_send", Write},
	{"gnutls_record_send2", Write},      // f(handle, buffer, length, padding, flags), since 3.6.3
	{"gnutls_record_send_range", Write}, // f(handle, buffer, length, *range)
	{"gnutls_record_send_early_data", Write},
	{"gnutls_record_uncork", Window},
	{"gnutls_handshake", Window},
	{"gnutls_bye", Window},
	{"gnutls_deinit", Free},
}}

var nspr = family{"nspr", []entryPoint{
	{"PR_Read", NSPRRead},
	{"PR_Recv", NSPRRead}, // f(handle, buffer, length, flags, timeout)
	{"PR_Write", NSPRWrite},
	{"PR_Send", NSPRWrite}, // f(handle, buffer, length, flags, timeout)
	{"PR_Close", NSPRFree},
}}

// Functions that tell which library it is, and that are not hooked.
const (
	markBoringSSL = "SSL_CTX_set_custom_verify" // in no other library
	markLibreSSL  = "SSL_CTX_load_verify_mem"   // from OpenBSD
	markNSS       = "SSL_ImportFD"
	markJVM       = "JNI_CreateJavaVM"
	markJava      = "JLI_Launch" // what the java program calls
)

// families are all that are known, and wanted all names that are worth looking up.
func families() []family { return []family{openSSL, gnuTLS, nspr} }

func wanted() []string {
	all := []string{markBoringSSL, markLibreSSL, markNSS, markJVM, markJava}
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
	case Free, NSPRFree, GoFree:
		return false
	}
	return true
}
