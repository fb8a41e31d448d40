package divert

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// text writes a set as ranges of numbers; what is behind "end" is not in it.
func text(ranges []interval) string {
	var out []string
	for _, e := range elements(ranges) {
		kind := "from"
		if e.IntervalEnd {
			kind = "end"
		}
		if a, ok := netip.AddrFromSlice(e.Key); ok {
			out = append(out, fmt.Sprint(kind, " ", a))
		} else {
			out = append(out, fmt.Sprint(kind, " ", int(e.Key[0])<<8|int(e.Key[1])))
		}
	}
	return strings.Join(out, ", ")
}

func TestElements(t *testing.T) {
	p := func(list ...string) (out []netip.Prefix) {
		for _, s := range list {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		ranges []interval
		want   string
	}{
		{"one address", prefixes(p("10.0.0.7/32")), "from 10.0.0.7, end 10.0.0.8"},
		{"a carry", prefixes(p("10.0.0.0/9")), "from 10.0.0.0, end 10.128.0.0"},
		{"odd bits", prefixes(p("10.0.0.32/29")), "from 10.0.0.32, end 10.0.0.40"},
		{"all of IPv4", prefixes(p("0.0.0.0/0")), "from 0.0.0.0"},
		{"the end of IPv6", prefixes(p("ff00::/8", "fe00::/7")), "from fe00::"},
		{"apart, in any order", prefixes(p("10.9.0.0/16", "10.7.0.0/16")), "from 10.7.0.0, end 10.8.0.0, from 10.9.0.0, end 10.10.0.0"},
		{"adjacent", prefixes(p("10.7.0.0/16", "10.8.0.0/16")), "from 10.7.0.0, end 10.9.0.0"},
		{"one inside the other", prefixes(p("10.0.0.0/8", "10.7.0.0/16", "10.255.0.0/16")), "from 10.0.0.0, end 11.0.0.0"},
		{"the same twice", prefixes(p("10.7.0.0/16", "10.7.0.0/16")), "from 10.7.0.0, end 10.8.0.0"},
		{"all ports", ports([]Ports{{0, 65535}, {80, 80}}), "from 0"},
		{"ports", ports([]Ports{{8443, 8450}, {443, 443}, {8445, 8460}, {444, 444}}), "from 443, end 445, from 8443, end 8461"},
		{"the last port", ports([]Ports{{65535, 65535}, {1, 1}}), "from 1, end 2, from 65535"},
	} {
		if got := text(tt.ranges); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
