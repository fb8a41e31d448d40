package testkit

import (
	"cmp"
	"slices"
)

// Median returns the middle one of measurements. It sorts them.
func Median[T cmp.Ordered](v []T) T {
	slices.Sort(v)
	return v[len(v)/2]
}
