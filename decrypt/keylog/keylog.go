// Package keylog reads TLS session keys in the key log format (RFC 9850) and keeps them for package decrypt. Text goes
// in, from files that grow while they are read, and from the Decryption Secrets Blocks of captures; secrets by client random come
// out. It knows nothing of records or connections, and whether a secret is right is for the records to say.
package keylog

import (
	"bytes"
	"encoding/hex"
	"strings"

	"github.com/vitrine-ndr/vitrine/decrypt"
)

const (
	maxLine   = 1024 // no line of the format is half as long
	maxSecret = 64   // bytes: the longest hash of TLS
)

// labels are the secrets that open records. The number that a line is kept under is its place here.
var labels = [...]string{
	decrypt.LabelMaster, decrypt.LabelClientEarly, decrypt.LabelClientHandshake, decrypt.LabelServerHandshake,
	decrypt.LabelClientTraffic, decrypt.LabelServerTraffic, decrypt.LabelClientUpdated, decrypt.LabelServerUpdated,
}

// kind is what a line of a key log is.
type kind uint8

const (
	blank     kind = iota // empty, or a comment
	secret                // of a label that opens records
	other                 // of a label that does not, or not yet: exporter, ECH, RSA, PMS_CLIENT_RANDOM, QUIC_...
	malformed             // not in the format
)

// line is one parsed line.
type line struct {
	label        uint8 // place in labels
	clientRandom [32]byte
	value        [maxSecret]byte
	length       int // of value
}

// parse reads one line without its end. l is valid iff the kind is secret.
func (l *line) parse(b []byte) kind {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] == '#' {
		return blank
	}
	if len(b) > maxLine {
		return malformed
	}
	name, rest := cutField(b)
	random, rest := cutField(rest)
	value, rest := cutField(rest)
	label, known := labelOf(name)
	if !known {
		if isLabel(name) && len(random) > 0 {
			return other
		}
		return malformed
	}
	l.label = label
	if len(rest) > 0 || len(random) != hex.EncodedLen(len(l.clientRandom)) || len(value) == 0 || len(value) > hex.EncodedLen(maxSecret) {
		return malformed
	}
	if _, err := hex.Decode(l.clientRandom[:], random); err != nil {
		return malformed
	}
	n, err := hex.Decode(l.value[:], value)
	if err != nil {
		return malformed
	}
	l.length = n
	return secret
}

// cutField takes the bytes up to white space.
func cutField(b []byte) (field, rest []byte) {
	for i, c := range b {
		if c == ' ' || c == '\t' {
			return b[:i], bytes.TrimLeft(b[i:], " \t")
		}
	}
	return b, nil
}

// labelOf returns the place of a label in labels. After a KeyUpdate OpenSSL writes ..._TRAFFIC_SECRET_N, others count:
// all of those are one label, apart from secret 0.
func labelOf(name []byte) (uint8, bool) {
	for i, known := range labels {
		if string(name) == known {
			return uint8(i), true
		}
	}
	for i, updated := range [...]string{decrypt.LabelClientUpdated, decrypt.LabelServerUpdated} {
		number, ok := bytes.CutPrefix(name, []byte(strings.TrimSuffix(updated, "N")))
		if ok && len(number) > 0 && len(bytes.Trim(number, "0123456789")) == 0 {
			return uint8(len(labels) - 2 + i), true
		}
	}
	return 0, false
}

// isLabel reports whether name can be a label: capitals, digits and underscores.
func isLabel(name []byte) bool {
	for _, c := range name {
		if c != '_' && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(name) > 0
}
