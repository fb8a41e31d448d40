package token

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestTokenHangs has calls hang that cannot be broken off: those who wait do not, and others find the token busy until it answers.
func TestTokenHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, answer := new(URI).Known(nil, nil), make(chan struct{})
		var told []error
		k.Watch(func(err error) { told = append(told, err) })
		for i := range maxCalls + 1 {
			begun := time.Now()
			_, err := k.within(signing, func() ([]byte, error) { <-answer; return nil, nil })
			want := "no answer within 5s"
			if i == maxCalls {
				want = "4 calls have not ended for 5s"
			}
			if err == nil || !strings.Contains(err.Error(), want) || time.Since(begun) != signing {
				t.Errorf("call %d: got error %v after %s, want %q", i, err, time.Since(begun), want)
			}
		}
		close(answer)
		got, err := k.within(signing, func() ([]byte, error) { return []byte("signature"), nil })
		if err != nil || string(got) != "signature" {
			t.Errorf("got %q, %v", got, err)
		}
		if len(told) != 2 || told[0] == nil || told[1] != nil {
			t.Errorf("told %v", told)
		}
	})
}

func TestPanicOfModule(t *testing.T) {
	_, err := new(URI).Known(nil, nil).within(signing, func() ([]byte, error) { panic(errors.New("invalid capacity")) })
	if err == nil || !strings.Contains(err.Error(), "the token's module does not work: invalid capacity") {
		t.Errorf("got %v", err)
	}
}
