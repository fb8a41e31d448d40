package testkit

import (
	"testing"
	"time"
)

// maxGrowth is how much longer twice the input may take. The noise of a busy machine is met by medians and by tries.
const (
	maxGrowth   = 2.2
	linearRuns  = 7
	linearTries = 16
)

// Linear fails the test if run takes more than 2.2 times as long for 2*size as for size. Choose a size that takes some
// milliseconds; what run needs should be made before, for instance as a prefix of one long input.
func Linear(t testing.TB, size int, run func(size int)) {
	t.Helper()
	var growth float64
	for range linearTries {
		// Taken in turns, so that a machine that slows down slows both.
		var once, twice []time.Duration
		for range linearRuns {
			once = append(once, timed(func() { run(size) }))
			twice = append(twice, timed(func() { run(2 * size) }))
		}
		growth = float64(Median(twice)) / float64(max(Median(once), 1))
		if growth <= maxGrowth {
			return
		}
	}
	t.Errorf("twice the input takes %.2f times as long, want at most %.1f", growth, maxGrowth)
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
