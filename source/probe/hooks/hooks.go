// Package hooks finds where the functions of a TLS library are in an ELF file: OpenSSL and its relatives, GnuTLS, NSPR and Go's
// crypto/tls. A file goes in; file offsets come out at which the probe's programs can be put without harm, each at the cheapest
// instruction that serves. It attaches nothing and knows nothing of processes.
package hooks

import "errors"

// Program names one of the probe's programs, by the shape of the function that it is made for.
type Program string

const (
	Read     Program = "read"      // n = f(handle, buffer, length): n bytes are in the buffer when it returns more than 0
	ReadEx   Program = "read_ex"   // ok = f(handle, buffer, length, *n): as Read, with the number behind a pointer
	Write    Program = "write"     // n = f(handle, buffer, length): n bytes of the buffer were taken
	WriteEx  Program = "write_ex"  // ok = f(handle, buffer, length, *n)
	WriteEx2 Program = "write_ex2" // ok = f(handle, buffer, length, flags, *n)
	SendFile Program = "sendfile"  // n = f(handle, fd, offset, length, flags): n bytes of a file were taken
	Window   Program = "window"    // f(handle, ...): reads or writes the socket, but no plaintext that is new, such as a peek
	Free     Program = "free"      // f(handle): the handle ends

	NSPRRead  Program = "nspr_read"  // as Read, if the handle is a layered descriptor
	NSPRWrite Program = "nspr_write" // as Write, likewise
	NSPRFree  Program = "nspr_free"  // as Free

	GoRead  Program = "go_read"  // n, err = (*tls.Conn).Read(slice), whose last step is memmove(to, from, n)
	GoWrite Program = "go_write" // n, err = (*tls.Conn).Write(slice)
	GoFree  Program = "go_free"  // (*tls.Conn).Close()
)

// Hook is one function and where the probe goes in it. All offsets are offsets in the file.
type Hook struct {
	Program Program
	Symbol  string // the function's name, for people
	// Enter is where the arguments are still in their registers: the function's start, or a cheaper instruction behind it.
	Enter uint64
	// Exit is where the result is in its register, or for GoRead on its way to the caller's buffer. Valid iff the Program looks at
	// results: all but GoWrite and those that end a handle.
	Exit []uint64
	// Trampoline tells that Exit is the start of the function, at which a return probe is put; else a program goes to each Exit.
	Trampoline bool
}

// Library is a TLS library in a file.
type Library struct {
	Name    string // openssl, libressl, boringssl, gnutls, nspr or go
	Version string // as far as the file tells
	Hooks   []Hook
}

// Errors that tell why a file has no hooks. Find wraps them with what exactly was found.
var (
	ErrNoTLS       = errors.New("no TLS library")                     // nothing in the file speaks TLS, as far as can be seen
	ErrUnknown     = errors.New("unknown TLS library")                // something does that there are no hooks for
	ErrNoSymbols   = errors.New("TLS library without symbols")        // a known library, whose functions can't be found
	ErrUnsupported = errors.New("unsupported version of the library") // a known library of a version that does not validate
)
