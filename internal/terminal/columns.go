package terminal

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Cells returns how many columns an escaped string takes: East Asian wide characters take two, combining marks none.
func Cells(s string) int {
	n := 0
	for _, r := range s {
		n += cells(r)
	}
	return n
}

func cells(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Fit returns an escaped string in exactly n columns: cut with an ellipsis, or padded with spaces.
func Fit(s string, n int) string {
	s = Cut(s, n)
	return s + strings.Repeat(" ", max(n-Cells(s), 0))
}

// Cut returns the beginning of an escaped string that fits into n columns, with an ellipsis where something is missing.
func Cut(s string, n int) string {
	if Cells(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		if used+cells(r) > n-1 {
			return s[:i] + "…"
		}
		used += cells(r)
	}
	return s
}
