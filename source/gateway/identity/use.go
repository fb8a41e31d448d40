package identity

import (
	"crypto/tls"
	"errors"
)

// Use is what one handshake with an origin makes of an identity, if there is one for it. It is the cache of that connection's session, too:
// an origin goes on to believe in a session that was begun with an identity, so nobody else may resume it.
type Use struct {
	identity *Identity // nil: none
	trusted  func(*tls.ConnectionState) bool
	plain    tls.ClientSessionCache // of sessions in which nothing was shown

	state   *tls.ConnectionState // with the origin's certificates; nil before Verify, and without an identity
	offered bool                 // to resume a session in which the identity was shown
	plainly string               // the key of a session from the cache that was given, and that was offered; empty if none was
	shown   bool                 // it was shown in this connection, or in the one that is resumed
}

// NewUse returns a Use of the identity, which is shown only to an origin that trusted says yes to; that is asked at most once, in the
// handshake. Without an identity, which is nil then, sessions are in the cache that is given.
func NewUse(i *Identity, trusted func(*tls.ConnectionState) bool, cache tls.ClientSessionCache) *Use {
	if i != nil { // the other sessions may be such in which an origin has asked in vain
		cache = i.plain
	}
	return &Use{identity: i, trusted: trusted, plain: cache}
}

// ErrDistrusted ends the resumption of a session in which an identity was shown to an origin that is not trusted any more.
var ErrDistrusted = errors.New("the origin that knows the identity is not trusted any more")

// Verify is for tls.Config.VerifyConnection: crypto/tls calls it before it asks for the certificate.
func (u *Use) Verify(state tls.ConnectionState) error {
	switch {
	case u.identity == nil:
	case !state.DidResume:
		u.state = &state
	case u.offered && !u.trusted(&state):
		return ErrDistrusted
	default:
		u.shown = u.offered
	}
	return nil
}

// Certificate returns what to show to the origin; nil if there is nothing for it.
func (u *Use) Certificate() *tls.Certificate {
	if u.state == nil || !u.trusted(u.state) {
		return nil
	}
	u.shown = true
	return u.identity.certificate
}

// Shown is the id of the identity that the origin knows the gateway by, or that it was shown in vain; empty if there is none.
func (u *Use) Shown() string {
	if !u.shown {
		return ""
	}
	return u.identity.ID
}

// Get is for tls.Config.ClientSessionCache. A session in which the identity was shown is preferred to one without.
func (u *Use) Get(key string) (*tls.ClientSessionState, bool) {
	if u.identity != nil {
		if s, ok := u.identity.known.Get(key); ok {
			u.offered = true
			return s, true
		}
	}
	s, ok := u.plain.Get(key)
	if ok && u.identity == nil {
		u.plainly = key
	}
	return s, ok
}

// Offered is the key of the session from the cache given to NewUse that was offered to the origin; empty if none was.
func (u *Use) Offered() string { return u.plainly }

// Put is for tls.Config.ClientSessionCache. It comes behind Verify, unless it forgets what Get has returned.
func (u *Use) Put(key string, s *tls.ClientSessionState) {
	if u.shown || s == nil && u.offered {
		u.identity.known.Put(key, s)
		return
	}
	u.plain.Put(key, s)
}
