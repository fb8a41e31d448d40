package divert

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/google/nftables"
)

// interval is a range of numbers in network byte order, both ends in it.
type interval struct{ first, last []byte }

func prefixes(list []netip.Prefix) (all []interval) {
	for _, p := range list {
		last := p.Masked().Addr().AsSlice()
		for bit := p.Bits(); bit < 8*len(last); bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}
		all = append(all, interval{p.Masked().Addr().AsSlice(), last})
	}
	return all
}

func ports(list []Ports) (all []interval) {
	for _, p := range list {
		all = append(all, interval{[]byte{byte(p.First >> 8), byte(p.First)}, []byte{byte(p.Last >> 8), byte(p.Last)}})
	}
	return all
}

// elements returns the ranges as a set of nftables wants them: in order, without overlaps, each with the first number behind it.
func elements(ranges []interval) (all []nftables.SetElement) {
	ranges = slices.SortedFunc(slices.Values(ranges), func(a, b interval) int { return bytes.Compare(a.first, b.first) })
	for i := 0; i < len(ranges); {
		first, last := ranges[i].first, ranges[i].last
		end, open := next(last)
		for i++; i < len(ranges) && (open || bytes.Compare(ranges[i].first, end) <= 0); i++ {
			if bytes.Compare(ranges[i].last, last) > 0 {
				last = ranges[i].last
				end, open = next(last)
			}
		}
		all = append(all, nftables.SetElement{Key: first})
		if !open {
			all = append(all, nftables.SetElement{Key: end, IntervalEnd: true})
		}
	}
	return all
}

// next returns the number behind n; there is none behind the last one.
func next(n []byte) (after []byte, none bool) {
	after = slices.Clone(n)
	for i := len(after) - 1; i >= 0; i-- {
		if after[i]++; after[i] != 0 {
			return after, false
		}
	}
	return nil, true
}
