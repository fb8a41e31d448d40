// Package decrypt opens TLS connections with session keys that others provide. TLS records of both directions and
// candidate secrets go in; plaintext and the facts of the handshake come out. It does no I/O (the key log follower in
// keylog excepted), reads no clock, and believes a secret only once it has authenticated a record.
package decrypt

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
)

// Keys holds session secrets by the client random of their handshake. Implementations are safe for concurrent use.
type Keys interface {
	// Secrets returns every candidate that is known for the connection, in the order of arrival; sources repeat
	// themselves and get things wrong, so a secret is trusted only once a tag verifies. The slice is not to be changed.
	Secrets(clientRandom [32]byte) []Secret
	// Generation changes whenever a secret is added, so that a waiting Session asks again only when it is worth it.
	Generation() uint64
}

// Secret is one line of a key log (RFC 9850).
type Secret struct {
	Label string // "CLIENT_RANDOM", "CLIENT_TRAFFIC_SECRET_0" ...
	Value SecretBytes
}

// SecretBytes is key material. It never prints itself.
type SecretBytes []byte

// Format keeps key material out of whatever fmt writes, for every verb.
func (s SecretBytes) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue keeps key material out of logs.
func (s SecretBytes) LogValue() slog.Value { return slog.StringValue(s.String()) }

// String keeps key material out of messages.
func (s SecretBytes) String() string { return "REDACTED(" + strconv.Itoa(len(s)) + " bytes)" }
