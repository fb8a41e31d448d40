// Package handshake reads the wire format of TLS: record headers, handshake messages, hellos, certificates, and the
// fingerprints JA3, JA3S and JA4 made of them. Bytes that a stranger may have written go in; facts come out. It does no
// I/O, reads no clock and holds no keys: opening records is the business of package decrypt.
//
// All lengths are checked, all lists bounded, and the work is linear in the input.
package handshake
