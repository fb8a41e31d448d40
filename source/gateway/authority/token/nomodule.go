//go:build !cgo

package token

import "errors"

// connect can't: modules are libraries in C.
func connect(*URI, string) (*session, error) {
	return nil, errors.New("this program was built without cgo, which PKCS#11 modules need: \"make build-hsm\" builds bin/vitrine-hsm and bin/vitrine-agent-hsm, which can")
}
