package token

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// maxCalls is how many calls may be in a token at once: some have few sessions, and one that hangs must not take threads without end.
	maxCalls = 4
	// signing is how long who asks for a signature waits: less than clients do for a handshake.
	signing = 5 * time.Second
	// opening is how long a program that starts waits for the token: some take seconds to begin.
	opening = 30 * time.Second
	// pause is how long a token that has failed is left alone.
	pause = 2 * time.Second
	// unused is after which time a session is closed: a module, which is one for all keys, may notice that a token is back only when
	// nobody uses it any more.
	unused = time.Minute
)

// Key is a private key in a token. It implements crypto.Signer, and is safe for concurrent use. It never prints more than where it is.
type Key struct {
	uri    *URI
	read   func(path string) ([]byte, error)
	public crypto.PublicKey
	room   chan struct{} // has an entry for each call in the token
	keep   time.Duration // an unused session

	mu      sync.Mutex // held while the token is opened and closed, however long that takes
	session *session   // nil: to be opened
	unused  *time.Timer
	next    time.Time // not opened before
	failure error     // valid iff session is nil and next is not zero

	watched sync.Mutex
	fault   error // of the latest call
	told    func(error)
}

// session is an open token.
type session struct {
	signer crypto.Signer
	close  func()
}

// Open opens the token and finds the key. The PIN's file is read by the function, now and whenever the token is opened anew. A PIN that the token has
// refused before is tried once more: a person has asked for it.
func Open(u *URI, read func(path string) ([]byte, error)) (*Key, error) {
	refused.Delete(u.place())
	k := u.Known(nil, read)
	if err := k.check(opening); err != nil {
		return nil, err
	}
	return k, nil
}

// Known returns a key whose public half is known, so that the token need not be there before a signature is asked for.
func (u *URI) Known(public crypto.PublicKey, read func(path string) ([]byte, error)) *Key {
	k := &Key{uri: u, read: read, public: public, room: make(chan struct{}, maxCalls), keep: unused}
	k.unused = time.AfterFunc(k.keep, k.Close)
	return k
}

// URI is where the key is.
func (k *Key) URI() *URI { return k.uri }

// Public implements crypto.Signer.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer. The token takes its own random numbers.
func (k *Key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	return k.within(signing, func() ([]byte, error) { return k.sign(digest, opts) })
}

// Check opens the token if it is not open. It notes what is wrong, as Sign does.
func (k *Key) Check() error { return k.check(signing) }

func (k *Key) check(patience time.Duration) error {
	_, err := k.within(patience, func() ([]byte, error) {
		_, err := k.open()
		return nil, err
	})
	return err
}

// within calls the token once there is room, and waits for its answer as long as that is patient. Calls cannot be broken off: one that
// hangs keeps its room.
func (k *Key) within(patience time.Duration, call func() ([]byte, error)) (signature []byte, err error) {
	defer func() { k.note(err) }()
	type answer struct {
		signature []byte
		err       error
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case k.room <- struct{}{}:
	case <-late.C:
		return nil, fmt.Errorf("token of %s: %d calls have not ended for %s: it hangs, or is too slow", k.uri, maxCalls, patience)
	}
	answers := make(chan answer, 1)
	go func() {
		defer func() { <-k.room }()
		signature, err := guarded(call)
		answers <- answer{signature, err}
	}()
	select {
	case a := <-answers:
		return a.signature, a.err
	case <-late.C:
		return nil, fmt.Errorf("token of %s: no answer within %s", k.uri, patience)
	}
}

// guarded makes an error of a panic: modules report what the library behind this takes for impossible.
func guarded(call func() ([]byte, error)) (signature []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the token's module does not work: %v", p)
		}
	}()
	return call()
}

// sign tries once more with a token that was opened anew: a session ends when its token is taken out or started again.
func (k *Key) sign(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s, err := k.open()
	if err != nil {
		return nil, err
	}
	signature, err := s.signer.Sign(rand.Reader, digest, opts)
	if err == nil {
		return signature, nil
	}
	k.drop(s, nil)
	if s, err = k.open(); err != nil {
		return nil, err
	}
	if signature, err = s.signer.Sign(rand.Reader, digest, opts); err != nil {
		err = fmt.Errorf("sign with %s: %w", k.uri, err)
		k.drop(s, err)
	}
	return signature, err
}

// open returns the session, which is opened if there is none. One that could not be opened is left alone for a while.
func (k *Key) open() (*session, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unused.Reset(k.keep)
	if k.session != nil {
		return k.session, nil
	}
	if time.Now().Before(k.next) {
		return nil, k.failure
	}
	s, err := k.login()
	if err != nil {
		k.failure, k.next = err, time.Now().Add(pause)
		return nil, err
	}
	k.session = s
	return s, nil
}

// login opens a session and finds the key. Valid iff mu is held.
func (k *Key) login() (*session, error) {
	pin, err := k.pin()
	if err != nil {
		return nil, err
	}
	if pin != "" && k.uri.hasRefused(pin) {
		return nil, fmt.Errorf("%w of %s: %w: this one is not tried again, since tokens lock themselves: correct it, and see that the token is not locked", ErrOpen, k.uri, ErrPIN)
	}
	s, err := connect(k.uri, pin)
	if errors.Is(err, ErrPIN) {
		k.uri.refuse(pin)
	}
	if err != nil {
		return nil, fmt.Errorf("%w of %s: %w", ErrOpen, k.uri, err)
	}
	if k.public == nil {
		k.public = s.signer.Public()
	}
	if known, ok := k.public.(interface{ Equal(crypto.PublicKey) bool }); !ok || !known.Equal(s.signer.Public()) {
		s.close()
		return nil, fmt.Errorf("the key %s is another one than it was: the certificate does not belong to it", k.uri)
	}
	return s, nil
}

var (
	// ErrOpen begins what is wrong with a token, which may be there later.
	ErrOpen = errors.New("open the token")
	// ErrPIN is that the token refuses the PIN, or has locked it. Trying again makes it worse.
	ErrPIN = errors.New("the token refuses the PIN")
)

func (k *Key) pin() (string, error) {
	if k.uri.PINSource == "" {
		return k.uri.pin, nil
	}
	text, err := k.read(k.uri.PINSource)
	if err != nil {
		return "", fmt.Errorf("read the token's PIN: %w", err)
	}
	pin := strings.TrimRight(string(text), "\r\n")
	if pin == "" {
		return "", fmt.Errorf("read the token's PIN: %s is empty", k.uri.PINSource)
	}
	return pin, nil
}

// drop closes a session that has failed. With a reason, the token is left alone for a while.
func (k *Key) drop(s *session, why error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.session != s { // another call was first
		return
	}
	k.session = nil
	if s.close(); why != nil {
		k.failure, k.next = why, time.Now().Add(pause)
	}
}

// Close ends the session. The key may still be used: that opens another.
func (k *Key) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.session != nil {
		k.session.close()
		k.session = nil
	}
}

// Watch has a function called when the key ceases to sign, with the reason, and with nil when it signs again.
func (k *Key) Watch(told func(error)) {
	k.watched.Lock()
	defer k.watched.Unlock()
	k.told = told
}

// Fault is why the key could not sign when it was last asked to; or nil.
func (k *Key) Fault() error {
	k.watched.Lock()
	defer k.watched.Unlock()
	return k.fault
}

func (k *Key) note(err error) {
	k.watched.Lock()
	defer k.watched.Unlock()
	changed := (err == nil) != (k.fault == nil)
	k.fault = err
	if changed && k.told != nil {
		k.told(err)
	}
}

// Format keeps the PIN out of whatever fmt writes, for every verb.
func (k *Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.uri.String()) }

// LogValue keeps the PIN out of logs.
func (k *Key) LogValue() slog.Value { return k.uri.LogValue() }
