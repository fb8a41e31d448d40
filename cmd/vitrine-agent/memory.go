package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What the gateway's garbage may take before it is collected: each new connection leaves 100 KB of it, so a small heap would be collected
// all the time; ten thousand that are idle must not take twice what they need.
const (
	garbage      = 64 << 20 // bytes, while little lives
	leastGarbage = 50       // percent of what lives
	mostGarbage  = 800
	balanced     = 5 * time.Second // how often that is set
	quiet        = 1 << 20         // bytes that are taken between two times where little happens
)

// balanceMemory sets how much garbage there may be by how much lives, until ctx is done, and gives it back to the machine where it gets quiet.
func balanceMemory(ctx context.Context) {
	tick := time.NewTicker(balanced)
	defer tick.Stop()
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	for before, clean := uint64(0), true; ; {
		metrics.Read(s)
		live, taken := s[0].Value.Uint64(), s[1].Value.Uint64()
		debug.SetGCPercent(garbagePercent(live))
		if taken-before > quiet {
			clean = false
		} else if !clean {
			debug.FreeOSMemory()
			clean = true
		}
		before = taken
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func garbagePercent(live uint64) int {
	return int(min(max(garbage*100/max(live, 1), leastGarbage), mostGarbage))
}
