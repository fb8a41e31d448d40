package probe

import "testing"

func TestKillsReturns(t *testing.T) {
	at := func(major, minor, patch uint32) uint32 { return major<<16 | minor<<8 | patch }
	for version, want := range map[uint32]bool{
		at(4, 18, 0): false, at(6, 10, 14): false, at(6, 11, 0): true, at(6, 12, 13): true, at(6, 12, 14): false,
		at(6, 13, 0): true, at(6, 13, 2): true, at(6, 13, 3): false, at(6, 18, 44): false,
	} {
		if got := killsReturns(version); got != want {
			t.Errorf("%d.%d.%d: %v, want %v", version>>16, version>>8&0xff, version&0xff, got, want)
		}
	}
}
