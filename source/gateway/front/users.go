package front

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Users are those who may use a front end. It is safe for concurrent use.
type Users struct {
	hashes map[string][]byte // bcrypt, by name
	stray  []byte            // for names that are not there: they must take as long

	hashing chan struct{} // has room for one password at a time: guessing must not take the machine
	waiting chan struct{} // has room for those that wait for it

	mu    sync.Mutex // guards known
	key   [32]byte   // of known; the process's own
	known map[[sha256.Size]byte]bool
}

const (
	// maxKnown is how many names and passwords are remembered that were right.
	maxKnown = 10_000
	// maxWaiting is how many clients may wait to have their passwords hashed: about as many as get there in maxWait.
	maxWaiting = 64
	// maxWait is how long each waits: no deadline of its connection ends that.
	maxWait = 5 * time.Second
)

// What a front end returns for a client that may not use it, or not now.
var (
	ErrAuthentication = errors.New("client has no valid name and password")
	ErrBusy           = errors.New("too many clients wait to have their passwords checked")
)

// ParseUsers reads a file in the form of Apache's htpasswd, with bcrypt alone: "htpasswd -B".
func ParseUsers(text []byte) (*Users, error) {
	u := &Users{
		hashes: map[string][]byte{}, known: map[[sha256.Size]byte]bool{},
		hashing: make(chan struct{}, 1), waiting: make(chan struct{}, maxWaiting),
	}
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

// check returns ErrAuthentication unless the password is that of the name, and ErrBusy where that cannot be found out now. Hashing
// takes long on purpose, so what was right is remembered.
func (u *Users) check(name, password string) error {
	mac := hmac.New(sha256.New, u.key[:])
	fmt.Fprintf(mac, "%d:%s%s", len(name), name, password)
	sum := [sha256.Size]byte(mac.Sum(nil))
	if u.knows(sum) {
		return nil
	}
	if !u.turn() {
		return ErrBusy
	}
	defer func() { <-u.hashing }()
	if u.knows(sum) { // since another connection of the same client came first
		return nil
	}
	hash, ok := u.hashes[name]
	if !ok {
		hash = u.stray
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !ok {
		return ErrAuthentication
	}
	u.remember(sum)
	return nil
}

// turn waits until a password may be hashed. It fails where too many wait already, and where that takes too long.
func (u *Users) turn() bool {
	select {
	case u.waiting <- struct{}{}:
	default:
		return false
	}
	defer func() { <-u.waiting }()
	select {
	case u.hashing <- struct{}{}:
		return true
	case <-time.After(maxWait):
		return false
	}
}

func (u *Users) remember(sum [sha256.Size]byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.known) < maxKnown {
		u.known[sum] = true
	}
}

func (u *Users) knows(sum [sha256.Size]byte) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.known[sum]
}
