package query

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
)

// ints is the order of a signed number.
func ints(f *event.Field) *order[int64] {
	units, what := unitsOf(f)
	return &order[int64]{
		what: "a whole number" + what,
		read: func(s string) (int64, int64, bool) {
			n, ok := readNumber(s, units)
			return n.Int64(), n.Int64(), ok && n.IsInt64()
		},
		compare: cmp.Compare[int64], of: reflect.Value.Int, text: formatInt, paramTyp: "Int64", param: formatInt,
		next: func(n int64) int64 { return n + 1 }, previous: func(n int64) int64 { return n - 1 },
		lowest: math.MinInt64, highest: math.MaxInt64,
	}
}

// uints is the order of a number that is never negative.
func uints(f *event.Field) *order[uint64] {
	units, what := unitsOf(f)
	highest := uint64(math.MaxUint64) >> (64 - f.Bits)
	return &order[uint64]{
		what: fmt.Sprintf("a whole number from 0 to %d%s", highest, what),
		read: func(s string) (uint64, uint64, bool) {
			n, ok := readNumber(s, units)
			return n.Uint64(), n.Uint64(), ok && n.IsUint64() && n.Uint64() <= highest
		},
		compare: cmp.Compare[uint64], of: reflect.Value.Uint, text: formatUint, paramTyp: "UInt64", param: formatUint,
		next: func(n uint64) uint64 { return n + 1 }, previous: func(n uint64) uint64 { return n - 1 },
		highest: highest,
	}
}

func formatInt(n int64) string   { return strconv.FormatInt(n, 10) }
func formatUint(n uint64) string { return strconv.FormatUint(n, 10) }

// unitsOf returns the units that a number of the field may have, and their explanation.
func unitsOf(f *event.Field) (map[string]int64, string) {
	_, last, _ := cutLast(f.Name)
	switch {
	case strings.HasSuffix(last, "_us"):
		return map[string]int64{"us": 1, "µs": 1, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6, "d": 86400e6},
			" of microseconds, or a duration such as 250ms, 2s or 5m"
	case strings.Contains(last, "bytes"), strings.HasSuffix(last, "size"):
		return map[string]int64{"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40},
			" of bytes, or a size such as 10kb or 1mib"
	}
	return nil, ""
}

var numberForm = regexp.MustCompile(`^(-?[0-9]{1,20}(?:\.[0-9]{1,12})?)([a-zµ]*)$`)

// readNumber reads a number with or without a unit. What comes out must be whole.
func readNumber(s string, units map[string]int64) (*big.Int, bool) {
	m := numberForm.FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return new(big.Int), false
	}
	r, ok := new(big.Rat).SetString(m[1])
	if m[2] != "" {
		unit, known := units[m[2]]
		r.Mul(r, new(big.Rat).SetInt64(unit))
		ok = ok && known
	}
	return r.Num(), ok && r.IsInt()
}

// times is the order of points in time, in nanoseconds since 1970. Nothing that was seen is older: 0 is a missing time.
var times = &order[int64]{
	what: "a time such as 2026-11-20, 2026-11-20T10:00 or 2026-11-20T10:00:00Z",
	read: readTime, compare: cmp.Compare[int64],
	of: func(v reflect.Value) int64 {
		t, ok := v.Interface().(time.Time)
		if !ok || t.Year() < 1970 || t.Year() > lastYear {
			return 0
		}
		return t.UnixNano()
	},
	text:     func(n int64) string { return quoteText(time.Unix(0, n).UTC().Format(time.RFC3339Nano)) },
	paramTyp: "DateTime64(9,'UTC')",
	param:    func(n int64) string { return time.Unix(0, n).UTC().Format("2006-01-02 15:04:05.000000000") },
	next:     func(n int64) int64 { return n + 1 }, previous: func(n int64) int64 { return n - 1 },
	lowest: 1, highest: time.Date(lastYear, 12, 31, 23, 59, 59, 0, time.UTC).UnixNano(),
}

const lastYear = 2261 // of what fits into 64 bits of nanoseconds

// timeForms are the ways to write a time, and how long a time is that each of them stands for.
var timeForms = []struct {
	layout string
	length time.Duration
}{
	{"2006-01-02", 24 * time.Hour},
	{"2006-01-02T15:04", time.Minute},
	{"2006-01-02T15:04Z07:00", time.Minute},
	{"2006-01-02T15:04:05", 1},
	{"2006-01-02T15:04:05Z07:00", 1},
}

func readTime(s string) (first, last int64, ok bool) {
	s = strings.Replace(strings.ToUpper(s), " ", "T", 1)
	for _, form := range timeForms {
		if t, err := time.Parse(form.layout, s); err == nil {
			t = t.UTC()
			return t.UnixNano(), t.Add(form.length - 1).UnixNano(), 1970 < t.Year() && t.Year() < lastYear
		}
	}
	return 0, 0, false
}

// addresses is the order of IP addresses, IPv4 as part of IPv6. The unspecified address :: is a missing one.
var addresses = &order[netip.Addr]{
	what: "an IP address such as 10.1.2.3, or a network such as 10.0.0.0/8 or 2001:db8::/32",
	read: readAddress, compare: netip.Addr.Compare,
	of: func(v reflect.Value) netip.Addr {
		a, _ := v.Interface().(netip.Addr)
		return wide(a)
	},
	text:     func(a netip.Addr) string { return pattern(nil).literal(a.Unmap().String()).quote() },
	joint:    network,
	paramTyp: "IPv6", param: netip.Addr.String,
	next: netip.Addr.Next, previous: netip.Addr.Prev,
	lowest:  netip.IPv6Unspecified().Next(),
	highest: netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	missing: netip.IPv6Unspecified(),
}

// wide returns the address in the form that the store keeps: IPv6, without a zone.
func wide(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return netip.IPv6Unspecified()
	}
	return netip.AddrFrom16(a.As16())
}

func readAddress(s string) (first, last netip.Addr, ok bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return lastAndFirst(p)
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return first, last, false
	}
	return wide(a), wide(a), !a.IsUnspecified() || a.Is4()
}

func lastAndFirst(p netip.Prefix) (first, last netip.Addr, ok bool) {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	first = netip.PrefixFrom(wide(p.Addr()), bits).Masked().Addr()
	b := first.As16()
	for i := bits; i < 128; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return first, netip.AddrFrom16(b), true
}

// network returns the prefix that is exactly from low to high, or "".
func network(low, high netip.Addr) string {
	if low == high {
		return ""
	}
	a, b := low.As16(), high.As16()
	bits := 0
	for bits < 128 && (a[bits/8]^b[bits/8])&(0x80>>(bits%8)) == 0 {
		bits++
	}
	p := netip.PrefixFrom(low, bits)
	if first, last, _ := lastAndFirst(p); first != low || last != high {
		return ""
	}
	if low.Is4In6() && bits >= 96 {
		p = netip.PrefixFrom(low.Unmap(), bits-96)
	}
	return pattern(nil).literal(p.String()).quote()
}

// looksLikeAddress reports whether the word is an IP address or a network.
func looksLikeAddress(s string) bool {
	_, _, ok := readAddress(s)
	return ok
}

// startsAddress reports whether the text begins with an IPv6 address, whose colons are no operators.
func startsAddress(text string) bool {
	end := strings.IndexAny(text, " \t\r\n()\"")
	if end < 0 {
		end = len(text)
	}
	return looksLikeAddress(text[:end])
}
