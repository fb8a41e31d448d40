//go:build cgo

package token

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"strconv"

	"github.com/miekg/pkcs11"
	"go.step.sm/crypto/kms/apiv1"
	kms "go.step.sm/crypto/kms/pkcs11"
	"go.step.sm/crypto/kms/uri"
)

// connect opens the token with its module, and finds the key.
func connect(u *URI, pin string) (*session, error) {
	if _, err := os.Stat(u.Module); err != nil {
		return nil, fmt.Errorf("find the token's module: %w", err)
	}
	where := url.Values{"module-path": {u.Module}, "max-sessions": {strconv.Itoa(maxCalls + 1)}} // one keeps the login
	maps.Copy(where, u.token)
	token, err := kms.New(context.Background(), apiv1.Options{URI: uri.New(scheme, where).String(), Pin: pin})
	if code := pkcs11.Error(0); errors.As(err, &code) {
		switch code {
		case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_EXPIRED, pkcs11.CKR_PIN_LOCKED:
			return nil, fmt.Errorf("%w (%w)", ErrPIN, code)
		}
	}
	if err != nil {
		return nil, err
	}
	signer, err := token.CreateSigner(&apiv1.CreateSignerRequest{SigningKey: uri.New(scheme, u.object).String()})
	if err != nil {
		token.Close()
		if pin == "" {
			err = fmt.Errorf("%w; without pin-source or pin-value, only what is public in it is seen", err)
		}
		return nil, err
	}
	return &session{signer, func() { token.Close() }}, nil
}
