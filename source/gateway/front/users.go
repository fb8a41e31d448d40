package front

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// Users are those who may use a front end. It is safe for concurrent use.
type Users struct {
	hashes map[string][]byte // bcrypt, by name
	stray  []byte            // for names that are not there: they must take as long

	hashing sync.Mutex // one password at a time: guessing must not take the machine

	mu    sync.Mutex // guards known
	key   [32]byte   // of known; the process's own
	known map[[sha256.Size]byte]bool
}

// maxKnown is how many names and passwords are remembered that were right.
const maxKnown = 10_000

// ParseUsers reads a file in the form of Apache's htpasswd, with bcrypt alone: "htpasswd -B".
func ParseUsers(text []byte) (*Users, error) {
	u := &Users{hashes: map[string][]byte{}, known: map[[sha256.Size]byte]bool{}}
	rand.Read(u.key[:]) // never fails
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, hash, _ := strings.Cut(line, ":")
		if _, err := bcrypt.Cost([]byte(hash)); name == "" || err != nil {
			return nil, fmt.Errorf("line %d: want name:hash, with the hash of \"htpasswd -B\"", n)
		}
		u.hashes[name], u.stray = []byte(hash), []byte(hash)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(u.hashes) == 0 {
		return nil, fmt.Errorf("no users: add one with \"htpasswd -B\"")
	}
	return u, nil
}

// allow tells whether the password is that of the name. Hashing takes long on purpose, so what was right is remembered.
func (u *Users) allow(name, password string) bool {
	mac := hmac.New(sha256.New, u.key[:])
	fmt.Fprintf(mac, "%d:%s%s", len(name), name, password)
	sum := [sha256.Size]byte(mac.Sum(nil))
	if u.knows(sum) {
		return true
	}
	hash, ok := u.hashes[name]
	if !ok {
		hash = u.stray
	}
	u.hashing.Lock()
	defer u.hashing.Unlock()
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !ok {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.known) < maxKnown {
		u.known[sum] = true
	}
	return true
}

func (u *Users) knows(sum [sha256.Size]byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.known[sum]
}
