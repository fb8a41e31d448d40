package flow

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"
)

// Direction is the way in which bytes travel.
type Direction uint8

const (
	ToServer Direction = iota // from the side that opened the conversation
	ToClient                  // the answer
)

// Reverse returns the other direction.
func (d Direction) Reverse() Direction { return d ^ 1 }

func (d Direction) String() string {
	if d == ToServer {
		return "to_server"
	}
	return "to_client"
}

// Verdict is what an inline source does with the bytes that it has just handed over. Passive sources ignore it.
type Verdict int

const (
	Pass Verdict = iota // forward them
	Hold                // keep them: the next verdict decides
	Drop                // never forward them; the conversation ends
)

// Proto is the transport protocol, by its IANA number.
type Proto uint8

const (
	TCP Proto = 6
	UDP Proto = 17
)

func (p Proto) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return fmt.Sprintf("proto-%d", uint8(p))
}

// MarshalText writes the name that String returns.
func (p Proto) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Proto) UnmarshalText(b []byte) error {
	switch s := string(b); s {
	case "tcp":
		*p = TCP
	case "udp":
		*p = UDP
	default:
		var n uint8
		if _, err := fmt.Sscanf(s, "proto-%d", &n); err != nil {
			return fmt.Errorf("read transport protocol %q: %w", s, err)
		}
		*p = Proto(n)
	}
	return nil
}

// ID names a conversation or an event: 6 bytes of Unix milliseconds, then 10 bytes that make it unique. IDs sort by time.
type ID [16]byte

// String returns 32 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes what String returns.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads 32 hexadecimal digits.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) != 2*len(id) {
		return fmt.Errorf("read id: got %d characters, want %d", len(b), 2*len(id))
	}
	if _, err := hex.Decode(id[:], b); err != nil {
		return fmt.Errorf("read id: %w", err)
	}
	return nil
}

// Time returns the millisecond in which the ID was made.
func (id ID) Time() time.Time {
	var b [8]byte
	copy(b[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:]))).UTC()
}

// NewID makes an ID of the time and of two words that together are unique within that millisecond. Equal arguments give
// equal IDs: that is what makes a replay repeatable and a retry recognisable.
func NewID(at time.Time, hi uint16, lo uint64) ID {
	var id ID
	ms := uint64(max(at.UnixMilli(), 0))
	binary.BigEndian.PutUint64(id[:8], ms<<16|uint64(hi))
	binary.BigEndian.PutUint64(id[8:], lo)
	return id
}

// Endpoint is one side of a conversation.
type Endpoint struct {
	IP   netip.Addr `json:"ip" doc:"IP address"`
	Port uint16     `json:"port" doc:"Port number"`
}

// String returns ip:port, with brackets around IPv6.
func (e Endpoint) String() string { return netip.AddrPortFrom(e.IP, e.Port).String() }

// Tuple is what tells two conversations apart at one time.
type Tuple struct {
	Proto          Proto
	Client, Server Endpoint
}

// Counters are what was seen on the wire in one direction.
type Counters struct {
	Packets uint64
	Bytes   uint64 // of payload, as the transport protocol counts it
	Gaps    uint64 // bytes of payload never seen
}

// Conn is one conversation. A source makes it, fills it in as it learns more, and hands it to source.Sink.Open; only
// the goroutine that calls the Stream may touch it. Whoever keeps facts of it longer than a call copies them.
type Conn struct {
	ID    ID
	Tuple Tuple
	Start time.Time
	// Wire counts per Direction. A source that sees no packets leaves Packets at zero.
	Wire [2]Counters
	// Interface is where the packets were captured, or empty.
	Interface string
	// TLS is nil until a TLS handshake was seen. A source replaces it by a new value, it never changes one that it has set:
	// so events may keep the pointer.
	TLS *TLS
	// Decryption says whether the plaintext of a TLS connection was had. Valid iff TLS is not nil, but for a Reason alone: nobody was
	// connected to, for that reason.
	Decryption Decryption
	// Asked is whom the client has asked a proxy for: a name or an address; empty without a proxy.
	Asked string
	// Process is the local program, nil where the source cannot know it. Set once.
	Process *Process
	// Local is which side Process is. Valid iff Process is not nil.
	Local Side
	// Container is where Process runs, nil on the host itself. Set once.
	Container *Container
	// Policy is what was decided about the connection. Nil where nothing was to be decided; else the gateway replaces it by a new value, and
	// never changes one that it has set.
	Policy *Policy
	// RefusesQUIC says that the two cannot speak QUIC with one another, since whoever forwards this conversation refuses that.
	RefusesQUIC bool
	// Told says that another vantage point of the same machine tells of the connection as a whole: here only its transactions count.
	Told bool
}

// Seed makes IDs of one run unique among all runs. The zero Seed is right for a replay, whose IDs then depend on the
// packets alone.
type Seed uint64

// NewSeed returns a Seed that no other run has.
func NewSeed() Seed { return Seed(maphash.Bytes(maphash.MakeSeed(), nil)) }

// NewConn returns a conversation that begins at the time of its first packet or byte.
func NewConn(seed Seed, t Tuple, start time.Time) *Conn {
	h := mix(uint64(seed) ^ 0x9e3779b97f4a7c15)
	for _, e := range [...]Endpoint{t.Client, t.Server} {
		b := e.IP.As16()
		h = mix(h ^ binary.BigEndian.Uint64(b[:8]))
		h = mix(h ^ binary.BigEndian.Uint64(b[8:]))
		h = mix(h ^ uint64(e.Port)<<8 ^ uint64(t.Proto))
	}
	h = mix(h ^ uint64(start.UnixNano()))
	return &Conn{ID: NewID(start, uint16(mix(h)), h), Tuple: t, Start: start}
}

// EventID returns the ID of the n-th event of the conversation: the same one whenever it is asked for.
func (c *Conn) EventID(at time.Time, n uint64) ID {
	lo := mix(binary.BigEndian.Uint64(c.ID[8:]) ^ mix(n+1))
	return NewID(at, binary.BigEndian.Uint16(c.ID[6:8])^uint16(n), lo)
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection that spreads every bit.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
