package policy

import (
	"net/netip"
	"slices"
)

// prefixes find what was noted under those of many CIDRs that an address is in, by asking once for each length that there is.
type prefixes[T any] struct {
	lengths [2][]int // of IPv4 and IPv6
	notes   map[netip.Prefix]T
}

func (p *prefixes[T]) set(key netip.Prefix, note T) {
	key = key.Masked()
	if p.notes == nil {
		p.notes = map[netip.Prefix]T{}
	}
	p.notes[key] = note
	l := &p.lengths[family(key.Addr())]
	if !slices.Contains(*l, key.Bits()) {
		*l = append(*l, key.Bits())
	}
}

// each calls f for what was noted under each CIDR that the address is in.
func (p *prefixes[T]) each(a netip.Addr, f func(T)) {
	if !a.IsValid() {
		return
	}
	for _, bits := range p.lengths[family(a)] {
		key, _ := a.Prefix(bits) // a length of this family
		if note, ok := p.notes[key]; ok {
			f(note)
		}
	}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// sides are the scopes that have an address among their sources, or their destinations: their numbers, in order.
type sides struct{ prefixes[[]int32] }

func (s *sides) add(a Addresses, scope int32) {
	list := s.notes[a.Masked()]
	if n := len(list); n == 0 || list[n-1] != scope {
		s.set(a.Prefix, append(list, scope))
	}
}

// lists returns the numbers of the scopes that have the address, in as many lists as there are CIDRs that it is in, and how many that are.
func (s *sides) lists(a netip.Addr, room [][]int32) (lists [][]int32, n int) {
	lists = room
	s.each(a, func(l []int32) {
		lists = append(lists, l)
		n += len(l)
	})
	return lists, n
}
