package dns

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

func TestPlaybooks(t *testing.T) {
	t.Run("udp", func(t *testing.T) { parsetest.Run(t, "testdata/udp", UDP) })
	t.Run("tcp", func(t *testing.T) { parsetest.Run(t, "testdata/tcp", TCP) })
}

func TestLoss(t *testing.T) {
	t.Run("udp", func(t *testing.T) { parsetest.Loss(t, "testdata/udp", UDP) })
	t.Run("tcp", func(t *testing.T) { parsetest.Loss(t, "testdata/tcp", TCP) })
}

func FuzzUDP(f *testing.F) { parsetest.Fuzz(f, "testdata/udp", UDP) }
func FuzzTCP(f *testing.F) { parsetest.Fuzz(f, "testdata/tcp", TCP) }

// framed puts the length before a message.
func framed(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }

// chained returns an answer whose records all have the name at the end of the longest chain of pointers.
func chained(size int) []byte {
	b := append([]byte{0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, 1, 'a', 0, 0, 1, 0, 1)
	last := headerSize
	for range maxHops - 1 {
		at := len(b)
		b = binary.BigEndian.AppendUint16(b, 0xc000|uint16(last))
		last = at
	}
	// The chain is read as the data of a record: its owner and fixed fields go before it.
	chain := append([]byte(nil), b[19:]...)
	b = append(b[:19], 0, 0xff, 0, 0, 1, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(chain)))
	for i := 0; i < len(chain); i += 2 {
		target := uint16(headerSize)
		if i > 0 {
			target = uint16(len(b) - 2)
		}
		b = binary.BigEndian.AppendUint16(b, 0xc000|target)
	}
	last = len(b) - 2
	n := uint16(1)
	for ; len(b)+12 <= size; n++ {
		b = binary.BigEndian.AppendUint16(b, 0xc000|uint16(last))
		b = append(b, 0, 99, 0, 1, 0, 0, 0, 0, 0, 0)
	}
	binary.BigEndian.PutUint16(b[6:], n)
	return b
}

func TestLinear(t *testing.T) {
	t.Run("chains of pointers", func(t *testing.T) {
		message := framed(chained(16000))
		parsetest.Linear(t, TCP, func(n int) []parsetest.Step {
			var all [][]byte
			for range max(n/len(message), 1) {
				all = append(all, message)
			}
			return parsetest.Steps(flow.ToClient, all...)
		})
	})
	t.Run("search after a gap", func(t *testing.T) {
		// Each byte might begin a message whose question is not there yet.
		almost := []byte{0, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a'}
		parsetest.Linear(t, TCP, func(n int) []parsetest.Step {
			steps := []parsetest.Step{{IsGap: true}}
			for range n / len(almost) {
				steps = append(steps, parsetest.Step{Data: almost})
			}
			return steps
		})
	})
	t.Run("open queries", func(t *testing.T) {
		parsetest.Linear(t, TCP, func(n int) []parsetest.Step {
			steps := make([]parsetest.Step, n/20)
			for i := range steps {
				q := []byte{byte(i >> 8), byte(i), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1}
				steps[i] = parsetest.Step{Data: framed(q)}
			}
			return steps
		})
	})
}

// collect returns an Output that counts events and keeps the last.
func collect(last *event.Body, n *int) parse.Output {
	return parse.Output{
		Emit:    func(b event.Body) { *last = b; *n++ },
		Anomaly: func(string) {}, Become: func(string, *parse.Upgrade) {},
		Seen: func() time.Time { return time.Unix(0, 0) }, Exhausted: func() bool { return false },
		Limits: parse.DefaultLimits,
	}
}

func TestTextOfOneMessageIsBounded(t *testing.T) {
	var last event.Body
	var n int
	p := UDP.New(collect(&last, &n))
	name := make([]byte, 0, maxName)
	for range 3 {
		name = append(append(name, 63), make([]byte, 63)...) // zeros take four characters each
	}
	b := append([]byte{0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, name...)
	b = append(b, 0, 0, 1, 0, 1)
	records := uint16(0)
	for ; len(b)+14 < 1<<16; records++ {
		b = append(b, 0xc0, headerSize, 0, 5, 0, 1, 0, 0, 0, 0, 0, 2, 0xc0, headerSize)
	}
	binary.BigEndian.PutUint16(b[6:], records)
	if _, err := p.Parse(flow.ToClient, b); err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, a := range last.(*event.DNS).Answers {
		size += len(a)
	}
	if limit := parse.DefaultLimits.Header; size < limit/2 || size > limit+2*4*maxName {
		t.Errorf("kept %d characters of records, want about %d", size, limit)
	}
}

func TestOldestOpenQueryIsGivenUp(t *testing.T) {
	var last event.Body
	var n int
	out := collect(&last, &n)
	out.Limits.Open = 2
	p := UDP.New(out)
	for i := range 5 {
		q := []byte{0, byte(i), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1}
		if _, err := p.Parse(flow.ToServer, q); err != nil {
			t.Fatal(err)
		}
	}
	if id := last.(*event.DNS).ID; n != 3 || id != 2 {
		t.Errorf("gave up %d queries, the last with id %d; want 3, the last with id 2", n, id)
	}
	p.End()
	if n != 5 {
		t.Errorf("emitted %d queries, want 5", n)
	}
}

func TestProbe(t *testing.T) {
	query := []byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1}
	with := func(at int, c byte) []byte {
		b := append([]byte(nil), query...)
		b[at] = c
		return b
	}
	for _, tc := range []struct {
		name     string
		b        []byte
		udp, tcp parse.Match
	}{
		{"a query", query, parse.Yes, parse.Yes},
		{"unknown type", with(15, 0xfe), parse.Yes, parse.Yes},
		{"bytes behind it", append(with(0, 0), 0), parse.No, parse.No},
		{"cut", query[:18], parse.No, parse.No},
		{"header alone", query[:12], parse.No, parse.No},
		{"zeros", make([]byte, 64), parse.No, parse.No},
		{"reserved bit", with(3, 0x40), parse.No, parse.No},
		{"reserved operation", with(2, 0x19), parse.No, parse.No},
		{"error code in a query", with(3, 3), parse.No, parse.No},
		{"unknown class", with(18, 9), parse.No, parse.No},
		{"count of records", with(7, 1), parse.No, parse.No},
		{"count of questions", with(5, 2), parse.No, parse.No},
		{"label overruns", with(12, 40), parse.No, parse.No},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := UDP.Probe(flow.ToServer, tc.b); got != tc.udp {
				t.Errorf("udp: got %d, want %d", got, tc.udp)
			}
			if got := TCP.Probe(flow.ToServer, framed(tc.b)); got != tc.tcp {
				t.Errorf("tcp: got %d, want %d", got, tc.tcp)
			}
		})
	}
	if got := TCP.Probe(flow.ToServer, framed(query)[:7]); got != parse.Maybe {
		t.Errorf("beginning of a query: got %d, want Maybe", got)
	}
}

func TestRandomDatagramsAreNotDNS(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var b [48]byte
	for range 2_000_000 {
		for i := 0; i < len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], random.Uint64())
		}
		if UDP.Probe(flow.ToServer, b[:]) != parse.No {
			t.Fatalf("% x is taken as DNS", b)
		}
	}
}

func BenchmarkUDP(b *testing.B) {
	query := []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01")
	answer := []byte("\x00\x01\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01" +
		"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x02")
	var last event.Body
	var n int
	p := UDP.New(collect(&last, &n))
	b.SetBytes(int64(len(query) + len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Parse(flow.ToServer, query)
		_, _ = p.Parse(flow.ToClient, answer)
	}
	if n == 0 {
		b.Fatal("nothing came out")
	}
}
