package front

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// TestWaitingEnds has a client wait behind a password that takes for ever.
func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hash, err := bcrypt.GenerateFromPassword([]byte("horse"), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		u, err := ParseUsers([]byte("ann:" + string(hash)))
		if err != nil {
			t.Fatal(err)
		}
		u.hashing <- struct{}{}
		start := time.Now()
		if err := u.check("ann", "horse"); err != ErrBusy || time.Since(start) != maxWait {
			t.Errorf("%v after %s, want %v after %s", err, time.Since(start), ErrBusy, maxWait)
		}
		<-u.hashing
		if err := u.check("ann", "horse"); err != nil {
			t.Errorf("when the other is done: %v", err)
		}
	})
}
