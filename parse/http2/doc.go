// Package http2 parses HTTP/2 (RFC 9113) with header compression (RFC 7541): connections that begin with the client's
// preface, and those that HTTP/1.1 upgraded to h2c. Each request goes out with its response as one event.HTTP, like those of
// package http1; bodies go to package content as they come and are never buffered.
//
// After a gap it looks for the next chain of frames. Field lines that refer to what was lost are left out; others are still
// read, since a compressed block can be walked without its table. The package knows nothing of TLS or ALPN.
package http2
