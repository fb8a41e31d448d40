//go:build !cgo

package token_test

import (
	"os"
	"testing"

	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
)

// TestProgramWithoutModules checks that a program that can't load one says what to do.
func TestProgramWithoutModules(t *testing.T) {
	u, err := token.Parse("pkcs11:token=a;object=b?module-path=/m.so&pin-value=1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = token.Open(u, os.ReadFile)
	checkError(t, err, `open the token of pkcs11:token=a;object=b: this program was built without cgo`)
	checkError(t, err, `"make build-hsm" builds`)
}
