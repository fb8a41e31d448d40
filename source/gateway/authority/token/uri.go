// Package token has keys that lie in PKCS#11 tokens: hardware security modules, smart cards, or their like in software. A URI comes in;
// a key that signs goes out, which bears that the token is slow, goes away and comes back. It knows nothing of certificates.
package token

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.step.sm/crypto/kms/uri"
)

// Place is where a key is, as people write it: a file, or the URI of a key in a token, which may hold a PIN. It never prints that.
type Place string

const scheme = "pkcs11"

// schemes begin the URIs that go.step.sm/crypto knows. Those of clouds would have the gateway link the libraries of their vendors.
var schemes = []string{scheme, "awskms", "azurekms", "capi", "cloudkms", "mackms", "softkms", "sshagentkms", "tpmkms", "yubikey"}

// IsURI tells whether the place is none of a file: nor is a mistaken URI, whose PIN must not be in what is said of a missing file.
func (p Place) IsURI() bool {
	before, _, ok := strings.Cut(string(p), ":")
	return ok && slices.Contains(schemes, strings.ToLower(strings.TrimSpace(before))) || pinValue.MatchString(string(p))
}

var pinValue = regexp.MustCompile(`(?i)pin-value`)

func (p Place) String() string {
	if !p.IsURI() {
		return string(p)
	}
	u, err := Parse(p)
	if err != nil {
		return fmt.Sprintf("REDACTED(%d bytes)", len(p))
	}
	return u.String()
}

// Format keeps the PIN out of whatever fmt writes, for every verb.
func (p Place) Format(f fmt.State, _ rune) { io.WriteString(f, p.String()) }

// LogValue keeps the PIN out of logs.
func (p Place) LogValue() slog.Value { return slog.StringValue(p.String()) }

// URI is the place of a key in a token (RFC 7512). It prints without its PIN. It does not change.
type URI struct {
	Place  Place // as it was written
	Module string
	// PINSource is the file of the PIN; or empty.
	PINSource string

	pin    string // or empty
	token  url.Values
	object url.Values
}

// The attributes that are understood. Whatever else is there might be meant to keep a wrong key out.
var (
	tokenAttributes  = []string{"token", "serial", "slot-id"}
	objectAttributes = []string{"id", "object"}
	allAttributes    = slices.Concat(tokenAttributes, objectAttributes, []string{"type", "module-path", "pin-source", "pin-value"})
)

// Parse reads a URI. Its errors hold nothing of the text but the names of attributes: a PIN that is not encoded may be anywhere.
func Parse(p Place) (*URI, error) {
	parsed, err := uri.ParseWithScheme(scheme, string(p))
	if err != nil {
		return nil, errors.New("the URI of the key cannot be read: it must begin with \"pkcs11:\" (other kinds of key stores are not supported), and what is special in it must be percent-encoded")
	}
	if _, err := url.ParseQuery(parsed.RawQuery); err != nil || parsed.Fragment != "" {
		return nil, errors.New("the URI of the key cannot be read behind its question mark: separate attributes with &, and percent-encode what is special")
	}
	values := uri.Values(parsed)
	for name, v := range values {
		if !slices.Contains(allAttributes, name) {
			return nil, fmt.Errorf("the key's URI has an attribute that is not known: want some of %q", allAttributes)
		}
		if len(v) != 1 || v[0] == "" {
			return nil, fmt.Errorf("the attribute %q of the key's URI must have one value", name)
		}
	}
	u := &URI{Place: p, Module: values.Get("module-path"), pin: values.Get("pin-value"), token: only(values, tokenAttributes), object: only(values, objectAttributes)}
	if id := parsed.GetEncoded("id"); id != nil {
		u.object.Set("id", hex.EncodeToString(id))
	}
	u.PINSource = strings.TrimPrefix(strings.TrimPrefix(values.Get("pin-source"), "file://"), "file:")
	return u, u.check(values.Get("type"))
}

func only(values url.Values, names []string) url.Values {
	out := url.Values{}
	for _, name := range names {
		if values.Has(name) {
			out.Set(name, values.Get(name))
		}
	}
	return out
}

func (u *URI) check(kind string) error {
	switch {
	case kind != "" && kind != "private":
		return errors.New("the key's URI is of another type than private: the private key is needed")
	case !filepath.IsAbs(u.Module):
		return errors.New("the key's URI needs module-path, the absolute path of the library that speaks with the token, such as /usr/lib/softhsm/libsofthsm2.so")
	case len(u.token) != 1:
		return fmt.Errorf("the key's URI must name the token, by one of %q", tokenAttributes)
	case len(u.object) == 0:
		return fmt.Errorf("the key's URI must name the key in the token, by %q", objectAttributes)
	case u.pin != "" && u.PINSource != "":
		return errors.New("the key's URI has both pin-source and pin-value: leave one out")
	}
	return nil
}

// refused are digests of PINs that tokens did not take, by place: a token locks itself if the same one is tried again and again, for whichever of
// its keys.
var refused sync.Map

// place is the token, in whatever way it is named.
func (u *URI) place() string { return u.Module + "?" + u.token.Encode() }

func (u *URI) refuse(pin string) { refused.Store(u.place(), sha256.Sum256([]byte(pin))) }

func (u *URI) hasRefused(pin string) bool {
	digest, ok := refused.Load(u.place())
	return ok && digest == sha256.Sum256([]byte(pin))
}

// String tells which key it is, without what opens the token.
func (u *URI) String() string {
	return scheme + ":" + strings.ReplaceAll(strings.Trim(u.token.Encode()+"&"+u.object.Encode(), "&"), "&", ";")
}

// Format keeps the PIN out of whatever fmt writes, for every verb.
func (u *URI) Format(f fmt.State, _ rune) { io.WriteString(f, u.String()) }

// LogValue keeps the PIN out of logs.
func (u *URI) LogValue() slog.Value { return slog.StringValue(u.String()) }
