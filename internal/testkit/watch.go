package testkit

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// pressureFile is where Linux tells how long programs had to wait for a processor: Documentation/accounting/psi.rst.
const pressureFile = "/proc/pressure/cpu"

// Watch measures what the product promises to do within some time. The time in which any program of the machine waited for a processor
// does not count: a machine that is busy with something else proves nothing, and one that is not lets no slowness pass. Where the kernel
// does not tell, all of the time counts.
type Watch struct {
	begun    time.Time
	pressure string // the file
	waited   time.Duration
}

// StartWatch begins to measure.
func StartWatch() Watch { return startWatch(pressureFile) }

func startWatch(pressure string) Watch {
	return Watch{time.Now(), pressure, waited(pressure)}
}

// Within fails the test if more time than the limit has passed that counts. What says what should have happened.
func (w Watch) Within(t testing.TB, limit time.Duration, what string) {
	t.Helper()
	took, others := time.Since(w.begun), waited(w.pressure)-w.waited
	switch {
	case took-others > limit:
		t.Errorf("%s took %v, %v without the time in which the machine was busy, and must not take more than %v", what, took, took-others, limit)
	case took > limit:
		t.Logf("%s took %v, but for %v of it the machine was busy", what, took, others)
	}
}

// waited returns for how long, since the machine was started, any program waited for a processor; 0 if that is not known.
func waited(pressure string) time.Duration {
	text, err := os.ReadFile(pressure)
	if err != nil {
		return 0
	}
	_, total, _ := strings.Cut(string(text), "total=")
	var microseconds int64
	if _, err := fmt.Sscan(total, &microseconds); err != nil {
		return 0
	}
	return time.Duration(microseconds) * time.Microsecond
}
