package state

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The second choice that RFC 9106 §4 recommends: 64 MiB.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
	argonSalt    = 16
	argonKey     = 32
)

// hashPassword returns the PHC string of a password with a fresh salt.
func hashPassword(password string) string {
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails
	return encodePHC(salt, argonTime, argonMemory, argonThreads, password)
}

func encodePHC(salt []byte, time, memory uint32, threads uint8, password string) string {
	key := argon2.IDKey([]byte(password), salt, time, memory, threads, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, time, threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// verifyPassword reports whether the PHC string is of the password. Its time does not depend on where they differ.
func verifyPassword(phc, password string) (bool, error) {
	var (
		version      int
		memory, time uint32
		threads      uint8
	)
	fields := strings.Split(phc, "$")
	if len(fields) != 6 || fields[1] != "argon2id" {
		return false, fmt.Errorf("read password hash: it is not of argon2id")
	}
	if _, err := fmt.Sscanf(fields[2]+"$"+fields[3], "v=%d$m=%d,t=%d,p=%d", &version, &memory, &time, &threads); err != nil {
		return false, fmt.Errorf("read password hash: %w", err)
	}
	if version != argon2.Version || time < 1 || threads < 1 || memory > 1<<20 || time > 100 {
		return false, fmt.Errorf("read password hash: its parameters are out of bounds")
	}
	salt, err := base64.RawStdEncoding.DecodeString(fields[4])
	if err != nil {
		return false, fmt.Errorf("read password hash: %w", err)
	}
	return subtle.ConstantTimeCompare([]byte(phc), []byte(encodePHC(salt, time, memory, threads, password))) == 1, nil
}

// newSecret returns 256 random bits as text.
func newSecret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// newID returns n random bytes as hexadecimal text.
func newID(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// hashSecret returns what is kept of a random secret. It has too many bits to be guessed, so a slow hash would gain nothing.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
