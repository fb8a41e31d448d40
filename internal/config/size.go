package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as 512, 64KiB, 10GiB or with K, M, G, T for the same powers of 1024.
type Size int64

// UnmarshalText reads what String writes, and the shorter forms.
func (s *Size) UnmarshalText(text []byte) error {
	number := strings.TrimRight(string(text), "BKMGTi ")
	unit := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(string(text)[len(number):]), "B"), "i")
	power := strings.Index("KMGT", unit)
	if len(unit) > 1 || power < 0 {
		return fmt.Errorf("read size %q: want a number and KiB, MiB, GiB or TiB", text)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("read size %q: %q is no number of bytes", text, number)
	}
	if unit != "" {
		shift := 10 * (power + 1)
		if n > math.MaxInt64>>shift {
			return fmt.Errorf("read size %q: too large", text)
		}
		n <<= shift
	}
	*s = Size(n)
	return nil
}

// MarshalText writes the largest unit that leaves no fraction.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	unit := ""
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if s == 0 || s%1024 != 0 {
			break
		}
		s, unit = s/1024, u
	}
	return strconv.FormatInt(int64(s), 10) + unit
}
