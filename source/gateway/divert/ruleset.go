package divert

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ruleset writes the table into a batch of nftables.
type ruleset struct {
	conn  *nftables.Conn
	port  uint16
	table *nftables.Table
	known *nftables.Chain                     // for what comes in
	chain *nftables.Chain                     // for what of it is no packet of a connection of the gateway
	pass  *nftables.Chain                     // for what is forwarded
	sets  map[[sha256.Size]byte]*nftables.Set // so far, by what is in them
}

// replace puts the whole table in place of the one before.
func (r *ruleset) replace(scopes []Scope, exempt []netip.Prefix) error {
	r.conn.AddTable(table()) // so that there is one to delete
	r.conn.DelTable(table())
	r.table = r.conn.AddTable(table())
	r.chain = r.conn.AddChain(&nftables.Chain{Name: "divert", Table: r.table})
	r.known = r.conn.AddChain(&nftables.Chain{
		Name: "known", Table: r.table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle,
	})
	r.pass = r.conn.AddChain(&nftables.Chain{
		Name: "forward", Table: r.table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	divert := []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: r.chain.Name}}
	// What belongs to a connection of the gateway, of either side, is for it. Its listener has no address, and so fits packets to its port
	// on every host: those are not its own. It is ruled out first, since the kernel cannot tell "wildcard" of a handshake that is under way.
	r.addTo(r.known, socket(expr.SocketKeyWildcard), divert)
	r.addTo(r.known, socket(expr.SocketKeyTransparent), setMark(), accept())
	r.addTo(r.known, divert)
	// What is for this machine itself stays out of it: the gateway must not lock people out.
	r.add([]expr.Any{&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true}, equal(binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL))}, accept())
	for _, v := range versions {
		if addrs := slices.DeleteFunc(slices.Clone(exempt), v.other); len(addrs) > 0 {
			m, err := r.in(v.destination(), v.address, prefixes(addrs))
			if err != nil {
				return err
			}
			r.add(v.only(), m, accept())
			r.addTo(r.pass, v.only(), m, accept())
		}
	}
	for _, s := range scopes {
		for _, v := range versions {
			if err := r.scope(s, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// version is IPv4 or IPv6.
type version struct {
	family              byte
	address             nftables.SetDatatype
	size, source, dests uint32 // bytes of an address, and where it is in the header
	other               func(netip.Prefix) bool
}

var versions = []version{
	{unix.NFPROTO_IPV4, nftables.TypeIPAddr, 4, 12, 16, is6},
	{unix.NFPROTO_IPV6, nftables.TypeIP6Addr, 16, 8, 24, is4},
}

// only matches packets of the version.
func (v version) only() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{v.family})}
}

func (v version) from() expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: v.source, Len: v.size}
}

func (v version) destination() expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: v.dests, Len: v.size}
}

// scope adds the rules of a scope, if it has addresses of the version on both sides.
func (r *ruleset) scope(s Scope, v version) error {
	s.Sources, s.Destinations = slices.DeleteFunc(slices.Clone(s.Sources), v.other), slices.DeleteFunc(slices.Clone(s.Destinations), v.other)
	if len(s.Sources) == 0 || len(s.Destinations) == 0 {
		return nil
	}
	m, err := r.match(s, v)
	if err != nil {
		return err
	}
	r.add(v.only(), firstPacket(), m, []expr.Any{
		&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(r.port)},
		&expr.TProxy{Family: v.family, TableFamily: unix.NFPROTO_INET, RegPort: 1},
	}, setMark(), accept())
	quic, err := r.quic()
	if err != nil {
		return err
	}
	fate := accept() // later scopes, which may refuse, do not count
	if s.RefuseQUIC {
		fate = []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_PORT_UNREACH}}
	}
	r.addTo(r.pass, v.only(), quic, m, fate)
	return nil
}

// match matches addresses and ports of a scope. Ports are at the same place in TCP and UDP.
func (r *ruleset) match(s Scope, v version) ([]expr.Any, error) {
	var all []expr.Any
	for _, m := range []struct {
		load   expr.Any
		kind   nftables.SetDatatype
		ranges []interval
	}{
		{port(2), nftables.TypeInetService, ports(s.DestinationPorts)}, {port(0), nftables.TypeInetService, ports(s.SourcePorts)},
		{v.destination(), v.address, prefixes(s.Destinations)}, {v.from(), v.address, prefixes(s.Sources)},
	} {
		in, err := r.in(m.load, m.kind, m.ranges)
		if err != nil {
			return nil, err
		}
		all = append(all, in...)
	}
	return all, nil
}

// maxElements is how many elements of a set go into one message: it must stay below 64 KiB. Even, so that no range is cut.
const maxElements = 1000

// in matches what is loaded against ranges: one by itself, more in a set, which costs the kernel much more to make.
func (r *ruleset) in(load expr.Any, kind nftables.SetDatatype, ranges []interval) ([]expr.Any, error) {
	if len(ranges) == 1 {
		return []expr.Any{load, &expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: ranges[0].first, ToData: ranges[0].last}}, nil
	}
	set, err := r.set(kind, elements(ranges))
	if err != nil {
		return nil, fmt.Errorf("make set: %w", err)
	}
	return []expr.Any{load, &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID}}, nil
}

// set returns a set of the elements, one for all rules that need the same.
func (r *ruleset) set(kind nftables.SetDatatype, all []nftables.SetElement) (*nftables.Set, error) {
	h := sha256.New()
	h.Write([]byte(kind.Name))
	for _, e := range all { // they come in pairs, but for a last one without an end
		h.Write(e.Key)
	}
	key := [sha256.Size]byte(h.Sum(nil))
	if s := r.sets[key]; s != nil {
		return s, nil
	}
	s := &nftables.Set{Table: r.table, Name: fmt.Sprintf("set%d", len(r.sets)), Interval: true, KeyType: kind}
	parts := slices.Collect(slices.Chunk(all, maxElements))
	if err := r.conn.AddSet(s, parts[0]); err != nil {
		return nil, err
	}
	for _, p := range parts[1:] {
		if err := r.conn.SetAddElements(s, p); err != nil {
			return nil, err
		}
	}
	r.sets[key] = s
	return s, nil
}

func (r *ruleset) add(parts ...[]expr.Any) { r.addTo(r.chain, parts...) }

func (r *ruleset) addTo(c *nftables.Chain, parts ...[]expr.Any) {
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: c, Exprs: slices.Concat(parts...)})
}

// socket matches packets for a socket here that has the property.
func socket(key expr.SocketKey) []expr.Any {
	return []expr.Any{&expr.Socket{Key: key, Register: 1}, equal([]byte{1})}
}

// firstPacket matches the first packet of a TCP connection: SYN, and no ACK.
func firstPacket() []expr.Any {
	const flags, syn, ack = 13, 2, 16 // the offset in the header, and two of its bits
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{unix.IPPROTO_TCP}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: flags, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{syn | ack}, Xor: []byte{0}}, equal([]byte{syn}),
	}
}

// quic matches datagrams with a long header of QUIC version 1 or 2 (RFC 9000 §17.2, RFC 9369): those that connections begin with.
func (r *ruleset) quic() ([]expr.Any, error) {
	const header, long = 8, 0xc0 // the length of UDP's header, and the bits of a long one
	one, two := []byte{0, 0, 0, 1}, []byte{0x6b, 0x33, 0x43, 0xcf}
	version, err := r.in(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: header + 1, Len: 4}, nftables.TypeMark, []interval{{one, one}, {two, two}})
	if err != nil {
		return nil, err
	}
	return append([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{unix.IPPROTO_UDP}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: header, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{long}, Xor: []byte{0}}, equal([]byte{long}),
	}, version...), nil
}

// port loads a port of the transport header.
func port(offset uint32) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2}
}

// setMark sets the gateway's bit of the packet's mark.
func setMark() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native(^uint32(mark)), Xor: native(mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	}
}

func native(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func accept() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }
