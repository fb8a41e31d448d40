package export

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 123456789, time.UTC)

// sink notes what reaches it, and gives a verdict.
type sink struct {
	calls   []string
	verdict flow.Verdict
}

func (s *sink) note(format string, args ...any) {
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
}

func (s *sink) Open(c *flow.Conn) source.Stream { s.note("open %s", c.Tuple.Proto); return s }

func (s *sink) Data(dir flow.Direction, _ time.Time, b []byte) flow.Verdict {
	s.note("data %s %d", dir, len(b))
	return s.verdict
}

func (s *sink) Gap(dir flow.Direction, _ time.Time, n int) { s.note("gap %s %d", dir, n) }

func (s *sink) Close(time.Time) { s.note("close") }

func connOf(proto flow.Proto, client, server string) *flow.Conn {
	end := func(s string) flow.Endpoint {
		if s == "" {
			return flow.Endpoint{Port: 9}
		}
		a := netip.MustParseAddrPort(s)
		return flow.Endpoint{IP: a.Addr(), Port: a.Port()}
	}
	return flow.NewConn(0, flow.Tuple{Proto: proto, Client: end(client), Server: end(server)}, noon)
}

// body is long enough for several segments.
var body = strings.Repeat("0123456789abcdef", 4000)

// speakHTTP plays two requests and their responses.
func speakHTTP(s source.Stream, host string) {
	at := noon
	for i := range 2 {
		at = at.Add(time.Millisecond)
		s.Data(flow.ToServer, at, fmt.Appendf(nil, "GET /page%d HTTP/1.1\r\nHost: %s\r\n\r\n", i, host))
		at = at.Add(time.Millisecond)
		s.Data(flow.ToClient, at, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)))
		s.Data(flow.ToClient, at.Add(-time.Hour), []byte(body)) // a clock that goes back
	}
	s.Close(at.Add(time.Millisecond))
}

// dnsQuery asks for the address of vitrine.example.
const dnsQuery = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07vitrine\x07example\x00\x00\x01\x00\x01"

// afterFile records conversations of every kind in a file.
func afterFile(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	file := NewFile(&out)
	s := PlainSink(new(sink), file, PlainOptions{})
	speakHTTP(s.Open(connOf(flow.TCP, "192.0.2.1:40000", "192.0.2.2:443")), "four.example")
	speakHTTP(s.Open(connOf(flow.TCP, "[2001:db8::1]:40001", "[2001:db8::2]:8443")), "six.example")
	speakHTTP(s.Open(connOf(flow.TCP, "[::ffff:192.0.2.7]:40002", "192.0.2.8:443")), "mapped.example")
	speakHTTP(s.Open(connOf(flow.TCP, "", "192.0.2.9:443")), "unknown.example")
	s.Open(connOf(flow.TCP, "192.0.2.1:40003", "192.0.2.2:443")).Close(noon) // nothing was said
	for _, to := range []string{"192.0.2.53:53", "[2001:db8::53]:53"} {
		from := map[bool]string{true: "192.0.2.1:5353", false: "[2001:db8::1]:5353"}[to[0] == '1']
		dns := s.Open(connOf(flow.UDP, from, to))
		dns.Data(flow.ToServer, noon, []byte(dnsQuery))
		dns.Data(flow.ToClient, noon, []byte("\x12\x34\x81\x83"+dnsQuery[4:]))
		dns.Close(noon)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPlainSinkInTshark(t *testing.T) {
	file := afterFile(t)
	var want []string
	for _, conn := range []string{
		"192.0.2.1 40000 192.0.2.2 443 four.example", "40001 8443 six.example",
		"192.0.2.7 40002 192.0.2.8 443 mapped.example", "0.0.0.0 9 192.0.2.9 443 unknown.example",
	} {
		for i := range 2 {
			want = append(want, fmt.Sprintf("%s /page%d", conn, i))
		}
	}
	// tshark goes by the port: 443 and 8443 are to be HTTP here.
	plain := []string{"-d", "tcp.port==443,http", "-d", "tcp.port==8443,http"}
	ask := func(filter string, names ...string) []string {
		args := append(slices.Clone(plain), "-Y", filter, "-T", "fields", "-E", "separator=/s")
		for _, n := range names {
			args = append(args, "-e", n)
		}
		var lines []string
		for _, l := range testkit.Tshark(t, file, args...) {
			lines = append(lines, strings.TrimSpace(l))
		}
		return lines
	}
	got := ask("http.request", "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "http.host", "http.request.uri")
	for i := range got {
		got[i] = strings.Join(strings.Fields(got[i]), " ")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got)\n%s", diff)
	}
	got = ask("http.response", "http.response.code", "http.content_length")
	if diff := cmp.Diff(slices.Repeat([]string{"200 64000"}, 8), got); diff != "" {
		t.Errorf("responses (-want +got)\n%s", diff)
	}
	if got := ask("ipv6 and http.request", "ipv6.src", "ipv6.dst"); len(got) != 2 || got[0] != "2001:db8::1 2001:db8::2" {
		t.Errorf("IPv6 requests: %q", got)
	}
	got = ask("dns", "dns.qry.name", "dns.flags.rcode")
	if diff := cmp.Diff([]string{"vitrine.example", "vitrine.example 3", "vitrine.example", "vitrine.example 3"}, got); diff != "" {
		t.Errorf("queries (-want +got)\n%s", diff)
	}
	if got := ask("tcp.analysis.flags or _ws.malformed", "frame.number", "_ws.expert.message"); len(got) != 0 {
		t.Errorf("tshark finds fault: %q", got)
	}
	if got := ask("tcp.completeness == 31", "frame.number"); len(got) == 0 {
		t.Error("no conversation is complete")
	}
	if got := ask("tcp.stream == 4", "frame.number"); len(got) != 0 {
		t.Errorf("a connection without plaintext left packets: %q", got)
	}
	sums := []string{"-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields",
		"-e", "ip.checksum.status", "-e", "tcp.checksum.status", "-e", "udp.checksum.status"}
	for i, line := range testkit.Tshark(t, file, sums...) {
		if line = strings.Join(strings.Fields(line), " "); line != "1 1" && line != "1" {
			t.Fatalf("packet %d: checksums %q, want good ones", i+1, line)
		}
	}
}

// kept records copies.
type kept struct{ packets []capture.Packet }

func (k *kept) Append(_ flow.ID, p *capture.Packet) {
	c := *p
	c.Data = bytes.Clone(p.Data)
	k.packets = append(k.packets, c)
}

func TestPlainSinkForwards(t *testing.T) {
	next := &sink{verdict: flow.Hold}
	s := PlainSink(next, new(kept), PlainOptions{}).Open(connOf(flow.TCP, "192.0.2.1:1", "192.0.2.2:2"))
	if v := s.Data(flow.ToServer, noon, []byte("abc")); v != flow.Hold {
		t.Errorf("verdict %v, want hold", v)
	}
	s.Gap(flow.ToClient, noon, 7)
	s.Close(noon)
	if diff := cmp.Diff([]string{"open tcp", "data to_server 3", "gap to_client 7", "close"}, next.calls); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}
}

// TestPlainSinkGaps checks that missing bytes are missing sequence numbers, and nothing else is.
func TestPlainSinkGaps(t *testing.T) {
	rec := new(kept)
	s := PlainSink(new(sink), rec, PlainOptions{}).Open(connOf(flow.TCP, "192.0.2.1:1", "192.0.2.2:2"))
	s.Gap(flow.ToServer, noon, 100)
	s.Data(flow.ToServer, noon, []byte("abc"))
	s.Gap(flow.ToServer, noon, 0)
	s.Data(flow.ToServer, noon, bytes.Repeat([]byte{1}, segmentData+1))
	s.Data(flow.ToClient, noon, []byte("d"))
	s.Close(noon)
	var got []string
	for _, p := range rec.packets {
		tcp := p.Data[ipv4Header:]
		if p.Length != len(p.Data) || p.Link != capture.RawIP {
			t.Fatalf("packet %+v", p)
		}
		n := func(b []byte) int { return int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3]) }
		got = append(got, fmt.Sprintf("%d flags %02x seq %d ack %d data %d", tcp[1], tcp[13], n(tcp[4:]), n(tcp[8:]), len(tcp)-tcpHeader))
	}
	want := []string{ // the port that it comes from first
		"1 flags 02 seq 0 ack 0 data 0",
		"2 flags 12 seq 0 ack 1 data 0",
		"1 flags 10 seq 1 ack 1 data 0",
		"1 flags 18 seq 101 ack 1 data 3",
		"2 flags 10 seq 1 ack 104 data 0",
		"1 flags 10 seq 105 ack 1 data 1448",
		"2 flags 10 seq 1 ack 1553 data 0",
		"1 flags 18 seq 1553 ack 1 data 1",
		"2 flags 10 seq 1 ack 1554 data 0",
		"2 flags 18 seq 1 ack 1554 data 1",
		"1 flags 10 seq 1554 ack 2 data 0",
		"1 flags 11 seq 1554 ack 2 data 0",
		"2 flags 11 seq 2 ack 1555 data 0",
		"1 flags 10 seq 1555 ack 3 data 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("segments (-want +got)\n%s", diff)
	}
}

func TestPlainSinkOnlyTLS(t *testing.T) {
	rec := new(kept)
	conn := connOf(flow.TCP, "192.0.2.1:1", "192.0.2.2:2")
	s := PlainSink(new(sink), rec, PlainOptions{OnlyTLS: true}).Open(conn)
	s.Data(flow.ToServer, noon, []byte("never encrypted"))
	s.Gap(flow.ToServer, noon, 5)
	if len(rec.packets) != 0 {
		t.Errorf("%d packets of what was never encrypted", len(rec.packets))
	}
	conn.TLS = &flow.TLS{}
	s.Data(flow.ToServer, noon, []byte("decrypted"))
	if n := len(rec.packets); n != 5 || !bytes.HasSuffix(rec.packets[3].Data, []byte("decrypted")) {
		t.Errorf("%d packets", n)
	}
	s.Close(noon)
}

// TestPlainSinkDoesNotAllocate leaves the pool out: with the race detector it forgets buffers at random.
func TestPlainSinkDoesNotAllocate(t *testing.T) {
	s := PlainSink(new(quiet), new(nowhere), PlainOptions{}).Open(connOf(flow.TCP, "192.0.2.1:1", "192.0.2.2:2")).(*plainStream)
	data := make([]byte, 16<<10)
	packet := new(plainPacket)
	s.segments(packet, flow.ToServer, noon, data)
	if n := testing.AllocsPerRun(100, func() { s.segments(packet, flow.ToClient, noon, data) }); n != 0 {
		t.Errorf("%v allocations per call", n)
	}
}

// quiet is a Sink that does nothing.
type quiet struct{}

func (q *quiet) Open(*flow.Conn) source.Stream                         { return q }
func (*quiet) Data(flow.Direction, time.Time, []byte) (v flow.Verdict) { return }
func (*quiet) Gap(flow.Direction, time.Time, int)                      {}
func (*quiet) Close(time.Time)                                         {}

func BenchmarkPlainSink(b *testing.B) {
	s := PlainSink(new(quiet), new(nowhere), PlainOptions{}).Open(connOf(flow.TCP, "192.0.2.1:1", "192.0.2.2:2"))
	data := make([]byte, 16<<10)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		s.Data(flow.ToClient, noon, data)
	}
}

// nowhere is a Recorder that forgets.
type nowhere struct{}

func (*nowhere) Append(flow.ID, *capture.Packet) {}

// editing takes everything out.
type editing struct{ sink }

func (e *editing) Open(*flow.Conn) source.Stream { return e }

func (e *editing) Edit(_ flow.Direction, _ time.Time, b []byte) source.Edit {
	return source.Edit{Held: len(b)}
}

func (e *editing) Release(flow.Direction, time.Time) source.Edit { return source.Edit{Drop: true} }

// packets counts what is recorded.
type packets int

func (n *packets) Append(flow.ID, *capture.Packet) { *n++ }

// TestPlainSinkLetsEdit records what is said in a connection, and changes nothing about what becomes of it.
func TestPlainSinkLetsEdit(t *testing.T) {
	var n packets
	s, ok := PlainSink(new(editing), &n, PlainOptions{}).Open(connOf(flow.TCP, "192.0.2.1:1", "192.0.2.2:2")).(source.Editor)
	if !ok {
		t.Fatal("what edits does not any more")
	}
	if e := s.Edit(flow.ToServer, noon, []byte("said")); e.Held != 4 || e.Forward != nil {
		t.Errorf("edited: %+v", e)
	}
	if e := s.Release(flow.ToServer, noon); !e.Drop {
		t.Errorf("released: %+v", e)
	}
	if n == 0 {
		t.Error("nothing was recorded")
	}
}
