package reassembly

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

var start = time.Unix(1700000000, 0).UTC()

// recorder is a Sink that keeps all that it is told.
type recorder struct{ streams []*recording }

type recording struct {
	conn   *flow.Conn
	data   [2][]byte // gaps are filled with '?'
	gaps   [2]int
	order  []string
	closed int
}

func (r *recorder) Open(c *flow.Conn) source.Stream {
	s := &recording{conn: c}
	r.streams = append(r.streams, s)
	return s
}

func (s *recording) Data(dir flow.Direction, _ time.Time, b []byte) flow.Verdict {
	s.data[dir] = append(s.data[dir], b...)
	s.order = append(s.order, fmt.Sprintf("%s %s", dir, b))
	return flow.Pass
}

func (s *recording) Gap(dir flow.Direction, _ time.Time, n int) {
	s.data[dir] = append(s.data[dir], bytes.Repeat([]byte{'?'}, n)...)
	s.gaps[dir] += n
	s.order = append(s.order, fmt.Sprintf("%s gap %d", dir, n))
}

func (s *recording) Close(time.Time) { s.closed++ }

// tcp returns an IPv4 packet of client 10.0.0.1:40000 or server 10.0.0.2:80.
func tcp(dir flow.Direction, seq, ack uint32, flags uint8, payload string) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[9] = 0x45, 6
	binary.BigEndian.PutUint16(b[2:], uint16(40+len(payload)))
	src, dst, sport, dport := byte(1), byte(2), uint16(40000), uint16(80)
	if dir == flow.ToClient {
		src, dst, sport, dport = dst, src, dport, sport
	}
	copy(b[12:], []byte{10, 0, 0, src, 10, 0, 0, dst})
	binary.BigEndian.PutUint16(b[20:], sport)
	binary.BigEndian.PutUint16(b[22:], dport)
	binary.BigEndian.PutUint32(b[24:], seq)
	binary.BigEndian.PutUint32(b[28:], ack)
	b[32], b[33] = 0x50, flags
	return append(b, payload...)
}

// play feeds packets a millisecond apart and closes.
func play(t testing.TB, cfg Config, packets ...[]byte) (*recorder, Stats) {
	t.Helper()
	r := new(recorder)
	a := New(cfg, r)
	for i, b := range packets {
		a.Packet(&capture.Packet{Time: start.Add(time.Duration(i) * time.Millisecond), Link: capture.RawIP, Length: len(b), Data: b})
	}
	a.Close()
	s := a.Stats()
	if s.Open != 0 || s.HeldBytes != 0 || len(a.waiting) != 0 {
		t.Errorf("after Close: %d open, %d bytes held, %d waiting", s.Open, s.HeldBytes, len(a.waiting))
	}
	for _, st := range r.streams {
		if st.closed != 1 {
			t.Errorf("%s was closed %d times", st.conn.ID, st.closed)
		}
	}
	return r, s
}

const (
	toS = flow.ToServer
	toC = flow.ToClient
	ack = flagACK
)

func open(cISN, sISN uint32) [][]byte {
	return [][]byte{tcp(toS, cISN, 0, flagSYN, ""), tcp(toC, sISN, cISN+1, flagSYN|ack, ""), tcp(toS, cISN+1, sISN+1, ack, "")}
}

func TestOrder(t *testing.T) {
	tests := map[string]struct {
		packets [][]byte
		want    []string
	}{
		"in order": {
			[][]byte{tcp(toS, 101, 501, ack, "GET"), tcp(toC, 501, 104, ack, "200"), tcp(toC, 504, 104, ack|flagFIN, "!"), tcp(toS, 104, 506, ack|flagFIN, ""), tcp(toC, 506, 105, ack, "")},
			[]string{"to_server GET", "to_client 200", "to_client !"},
		},
		"swapped": {
			[][]byte{tcp(toS, 104, 501, ack, "DEF"), tcp(toS, 101, 501, ack, "ABC")},
			[]string{"to_server ABC", "to_server DEF"},
		},
		"response captured before its request": {
			[][]byte{tcp(toC, 501, 104, ack, "200"), tcp(toS, 101, 501, ack, "GET")},
			[]string{"to_server GET", "to_client 200"},
		},
		"retransmission with more": {
			[][]byte{tcp(toS, 101, 501, ack, "ABC"), tcp(toS, 101, 501, ack, "ABCDEF")},
			[]string{"to_server ABC", "to_server DEF"},
		},
		"the first of two versions wins": {
			[][]byte{tcp(toS, 103, 501, ack, "cde"), tcp(toS, 101, 501, ack, "ABCDEFG")},
			[]string{"to_server AB", "to_server cde", "to_server FG"},
		},
		"lost": {
			[][]byte{tcp(toS, 101, 501, ack, "ABC"), tcp(toS, 107, 501, ack, "GHI")},
			[]string{"to_server ABC", "to_server gap 3", "to_server GHI"},
		},
		"keep-alive probe": {
			[][]byte{tcp(toS, 101, 501, ack, "ABC"), tcp(toS, 103, 501, ack, "x"), tcp(toS, 104, 501, ack, "DEF")},
			[]string{"to_server ABC", "to_server DEF"},
		},
		"a reset that nobody obeyed": {
			[][]byte{tcp(toS, 101, 501, ack, "ABC"), tcp(toC, 501, 104, flagRST|ack, ""), tcp(toS, 104, 501, ack, "DEF")},
			[]string{"to_server ABC", "to_server DEF"},
		},
		"a SYN that nobody answered": {
			[][]byte{tcp(toS, 101, 501, ack, "ABC"), tcp(toS, 90_000, 0, flagSYN, ""), tcp(toS, 104, 501, ack, "DEF")},
			[]string{"to_server ABC", "to_server DEF"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, _ := play(t, DefaultConfig(), append(open(100, 500), tt.packets...)...)
			if len(r.streams) != 1 {
				t.Fatalf("got %d streams", len(r.streams))
			}
			if diff := cmp.Diff(tt.want, r.streams[0].order); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestMidstream(t *testing.T) {
	r, _ := play(t, DefaultConfig(), tcp(toC, 900, 300, ack, "world"), tcp(toS, 300, 905, ack, "hello"))
	if len(r.streams) != 1 {
		t.Fatalf("got %d streams", len(r.streams))
	}
	got := r.streams[0]
	if got.conn.Tuple.Server.Port != 80 || string(got.data[toC]) != "world" || string(got.data[toS]) != "hello" {
		t.Errorf("got server %s, %q and %q", got.conn.Tuple.Server, got.data[toS], got.data[toC])
	}
}

func TestSnapLengthLeavesAHoleOfKnownSize(t *testing.T) {
	cut := tcp(toS, 101, 501, ack, "ABCDEF")
	cut = cut[:len(cut)-4]
	r, s := play(t, DefaultConfig(), append(open(100, 500), cut, tcp(toS, 107, 501, ack, "GHI"))...)
	if got, want := string(r.streams[0].data[toS]), "AB????GHI"; got != want || s.GapBytes != 4 {
		t.Errorf("got %q, %d bytes missing; want %q, 4", got, s.GapBytes, want)
	}
}

func TestReusedPortsAreANewConnection(t *testing.T) {
	packets := append(open(100, 500), tcp(toS, 101, 501, ack|flagFIN, "one"), tcp(toC, 501, 105, ack|flagFIN, ""), tcp(toS, 105, 502, ack, ""))
	packets = append(packets, open(9000, 7000)...)
	packets = append(packets, tcp(toS, 9001, 7001, ack, "two"))
	r, s := play(t, DefaultConfig(), packets...)
	if len(r.streams) != 2 || s.Conns != 2 {
		t.Fatalf("got %d streams, want 2", len(r.streams))
	}
	if a, b := string(r.streams[0].data[toS]), string(r.streams[1].data[toS]); a != "one" || b != "two" {
		t.Errorf("got %q and %q", a, b)
	}
	if r.streams[0].conn.ID == r.streams[1].conn.ID {
		t.Error("both have the same id")
	}
}

func TestAnswerToASYNEndsTheConnectionBefore(t *testing.T) {
	packets := append(open(100, 500), tcp(toS, 101, 501, ack, "one"))
	packets = append(packets, open(9000, 7000)...)
	packets = append(packets, tcp(toS, 9001, 7001, ack, "two"))
	r, _ := play(t, DefaultConfig(), packets...)
	if len(r.streams) != 2 {
		t.Fatalf("got %d streams, want 2", len(r.streams))
	}
	if a, b := string(r.streams[0].data[toS]), string(r.streams[1].data[toS]); a != "one" || b != "two" {
		t.Errorf("got %q and %q", a, b)
	}
}

func TestResetEndsASilentConnection(t *testing.T) {
	r := new(recorder)
	a := New(DefaultConfig(), r)
	for _, b := range append(open(100, 500), tcp(toS, 101, 501, ack, "ABC"), tcp(toC, 501, 104, flagRST|ack, "")) {
		a.Packet(&capture.Packet{Time: start, Link: capture.RawIP, Data: b})
	}
	a.Advance(start.Add(900 * time.Millisecond))
	if r.streams[0].closed != 0 {
		t.Error("ended at once")
	}
	a.Advance(start.Add(1100 * time.Millisecond))
	if r.streams[0].closed != 1 || a.Stats().Open != 0 {
		t.Error("did not end after a second")
	}
}

func TestDatagramsOnSeveralInterfacesAreOne(t *testing.T) {
	udp := func(payload string) []byte {
		b := tcp(toS, 0, 0, 0, payload)
		b[9] = 17
		b = append(b[:28], payload...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
		return b
	}
	r := new(recorder)
	a := New(DefaultConfig(), r)
	for i, p := range []struct {
		link, payload string
		after         time.Duration
	}{
		{"veth0", "one", 0}, {"veth0", "two", 10 * time.Microsecond}, {"br0", "one", 20 * time.Microsecond}, {"br0", "two", 30 * time.Microsecond},
		{"veth0", "one", 40 * time.Microsecond}, // sent again
		{"br0", "three", 50 * time.Microsecond}, {"br0", "two", time.Second},
	} {
		b := udp(p.payload)
		a.Packet(&capture.Packet{Time: start.Add(p.after), Link: capture.RawIP, Data: b, Interface: p.link})
		if len(r.streams) != 1 {
			t.Fatalf("packet %d: %d streams", i, len(r.streams))
		}
	}
	a.Close()
	if got := string(r.streams[0].data[toS]); got != "onetwoonethreetwo" || a.Stats().Repeated != 2 {
		t.Errorf("got %q, %d repeated", got, a.Stats().Repeated)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.ConnBytes = 10_000
	packets := open(100, 500)
	for i := range 1000 { // the byte at 101 never comes
		packets = append(packets, tcp(toS, 102+uint32(i)*100, 501, ack, string(bytes.Repeat([]byte{'x'}, 100))))
	}
	r, s := play(t, cfg, packets...)
	if s.OverMemory == 0 || s.GapBytes != 1 || len(r.streams[0].data[toS]) != 100_001 {
		t.Errorf("got %d over memory, %d bytes missing, %d delivered", s.OverMemory, s.GapBytes, len(r.streams[0].data[toS]))
	}
}

func TestConnsAreBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Conns = 10
	r := new(recorder)
	a := New(cfg, r)
	for i := range 100 {
		b := tcp(toS, 1, 0, flagSYN, "")
		binary.BigEndian.PutUint16(b[20:], uint16(i+1000))
		a.Packet(&capture.Packet{Time: start, Link: capture.RawIP, Data: b})
		if n := a.Stats().Open; n > 10 {
			t.Fatalf("%d are open", n)
		}
	}
	if s := a.Stats(); s.Evicted != 90 {
		t.Errorf("%d were evicted, want 90", s.Evicted)
	}
}

// TestAnyArrival cuts two streams into random, overlapping pieces, in any order that a network may give, and wants both back.
func TestAnyArrival(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		want := [2][]byte{randomText(rnd), randomText(rnd)}
		isn := [2]uint32{rnd.Uint32(), rnd.Uint32()}
		packets := open(isn[0], isn[1])
		var data [][]byte
		for dir, text := range want {
			for at := 0; at < len(text); {
				from, to := max(0, at-rnd.IntN(30)), min(len(text), at+1+rnd.IntN(60))
				data = append(data, tcp(flow.Direction(dir), isn[dir]+1+uint32(from), isn[1-dir]+1, ack, string(text[from:to])))
				at = to
			}
		}
		rnd.Shuffle(len(data), func(i, j int) { data[i], data[j] = data[j], data[i] })
		r, s := play(t, DefaultConfig(), append(packets, data...)...)
		if len(r.streams) != 1 || s.GapBytes != 0 || s.Conflicts != 0 {
			t.Fatalf("seed %d: %d streams, %d bytes missing, %d conflicts", seed, len(r.streams), s.GapBytes, s.Conflicts)
		}
		for dir := range want {
			if !bytes.Equal(r.streams[0].data[dir], want[dir]) {
				t.Fatalf("seed %d, %s:\n got %q\nwant %q", seed, flow.Direction(dir), r.streams[0].data[dir], want[dir])
			}
		}
	}
}

func randomText(rnd *rand.Rand) []byte {
	b := make([]byte, 1+rnd.IntN(1000))
	for i := range b {
		b[i] = byte('a' + rnd.IntN(26))
	}
	return b
}

// TestEveryByteIsToldOnce loses random packets: what comes out, gaps included, has the length and the bytes of what went in.
func TestEveryByteIsToldOnce(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		text := randomText(rnd)
		packets := open(7, 9)
		for at := 0; at < len(text); {
			to := min(len(text), at+1+rnd.IntN(40))
			if rnd.IntN(4) > 0 || to == len(text) {
				packets = append(packets, tcp(toS, 8+uint32(at), 10, ack, string(text[at:to])))
			}
			at = to
		}
		r, _ := play(t, DefaultConfig(), packets...)
		got := r.streams[0].data[toS]
		if len(got) != len(text) {
			t.Fatalf("seed %d: %d bytes came out of %d", seed, len(got), len(text))
		}
		for i := range got {
			if got[i] != '?' && got[i] != text[i] {
				t.Fatalf("seed %d: byte %d is %q, want %q", seed, i, got[i], text[i])
			}
		}
	}
}

func TestInOrderDoesNotAllocate(t *testing.T) {
	a := New(DefaultConfig(), discard{})
	for _, b := range open(100, 500) {
		a.Packet(&capture.Packet{Time: start, Link: capture.RawIP, Data: b})
	}
	b := tcp(toS, 101, 501, ack, string(make([]byte, 1400)))
	p := &capture.Packet{Time: start, Link: capture.RawIP, Data: b}
	seq := uint32(101)
	if n := testing.AllocsPerRun(1000, func() {
		binary.BigEndian.PutUint32(b[24:], seq)
		seq += 1400
		a.Packet(p)
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

type discard struct{}

func (discard) Open(*flow.Conn) source.Stream                           { return discard{} }
func (discard) Data(flow.Direction, time.Time, []byte) (v flow.Verdict) { return }
func (discard) Gap(flow.Direction, time.Time, int)                      {}
func (discard) Close(time.Time)                                         {}

func BenchmarkInOrder(b *testing.B) {
	a := New(DefaultConfig(), discard{})
	for _, p := range open(100, 500) {
		a.Packet(&capture.Packet{Time: start, Link: capture.RawIP, Data: p})
	}
	pkt := tcp(toS, 101, 501, ack, string(make([]byte, 1400)))
	p := &capture.Packet{Time: start, Link: capture.RawIP, Data: pkt}
	b.SetBytes(int64(len(pkt)))
	b.ReportAllocs()
	seq := uint32(101)
	for b.Loop() {
		binary.BigEndian.PutUint32(pkt[24:], seq)
		seq += 1400
		a.Packet(p)
	}
}

// FuzzPacket feeds hostile packets, each led by a byte for its link type and two for its length.
func FuzzPacket(f *testing.F) {
	links := []capture.LinkType{capture.RawIP, capture.Ethernet, capture.LinuxCooked, capture.LinuxSLL2, capture.Null}
	add := func(packets ...[]byte) {
		var b []byte
		for _, p := range packets {
			b = append(binary.BigEndian.AppendUint16(append(b, 0), uint16(len(p))), p...)
		}
		f.Add(b)
	}
	add(append(open(100, 500), tcp(toS, 105, 501, ack, "DEF"), tcp(toS, 101, 501, ack, "ABCDE"))...)
	add(append(open(1<<32-2, 500), tcp(toC, 501, 104, ack, "200"), tcp(toS, 1<<32-1, 501, ack|flagFIN, "GET"))...)
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg := DefaultConfig()
		cfg.ConnBytes, cfg.Conns = 1000, 5
		var packets []capture.Packet
		for len(b) > 3 {
			n := min(int(binary.BigEndian.Uint16(b[1:])), len(b)-3)
			packets = append(packets, capture.Packet{Link: links[int(b[0])%len(links)], Data: b[3 : 3+n]})
			b = b[3+n:]
		}
		r := new(countingSink)
		a := New(cfg, r)
		for i := range packets {
			packets[i].Time = start.Add(time.Duration(i) * 100 * time.Millisecond)
			a.Packet(&packets[i])
		}
		a.Close()
		if s := a.Stats(); s.HeldBytes != 0 || s.Open != 0 || uint64(r.gaps) != s.GapBytes || r.open != r.closed {
			t.Errorf("got %+v, %d bytes of gaps, %d opened, %d closed", s, r.gaps, r.open, r.closed)
		}
	})
}

type countingSink struct{ open, closed, gaps int }

func (c *countingSink) Open(*flow.Conn) source.Stream                           { c.open++; return c }
func (c *countingSink) Data(flow.Direction, time.Time, []byte) (v flow.Verdict) { return }
func (c *countingSink) Gap(_ flow.Direction, _ time.Time, n int)                { c.gaps += n }
func (c *countingSink) Close(time.Time)                                         { c.closed++ }
