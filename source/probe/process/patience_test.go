package process

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestPatience has reads that do not come back.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, release := newPatience(), make(chan struct{})
		begun := time.Now()
		for range maxStuck {
			if _, err := patiently(p, func() (int, error) { <-release; return 1, nil }); !errors.Is(err, ErrStuck) {
				t.Fatalf("got %v", err)
			}
		}
		if got := time.Since(begun); got != maxStuck*maxWait {
			t.Errorf("waited %v", got)
		}
		if _, err := patiently(p, func() (int, error) { return 1, nil }); !errors.Is(err, ErrStuck) {
			t.Errorf("one read more than may block: %v", err)
		}
		close(release)
		synctest.Wait()
		if n, err := patiently(p, func() (int, error) { return 2, nil }); n != 2 || err != nil {
			t.Errorf("once they came back: %d, %v", n, err)
		}
	})
}
