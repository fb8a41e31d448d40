package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serveOverIP runs a server until the end of the test.
func serveOverIP(t *testing.T) (o *OverIP, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o = NewOverIP(l, testkit.Logger(t))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return o, l.Addr().String()
}

// connect returns a reader that has had the header of the file.
func connect(t *testing.T, address string) (c net.Conn, header []byte) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	header = make([]byte, len(pcapHeader))
	if _, err := io.ReadFull(c, header); err != nil {
		t.Fatal(err)
	}
	return c, header
}

// readPacket returns the next packet, with its header.
func readPacket(t *testing.T, c net.Conn) []byte {
	t.Helper()
	head := make([]byte, 16)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, binary.LittleEndian.Uint32(head[8:]))
	if _, err := io.ReadFull(c, data); err != nil {
		t.Fatal(err)
	}
	return append(head, data...)
}

// requests returns what tshark finds in a file.
func requests(t *testing.T, file []byte) []string {
	t.Helper()
	return fieldsOf(testkit.Tshark(t, file, "-d", "tcp.port==443,http", "-d", "tcp.port==8443,http", "-Y", "http.request", "-T", "fields", "-E", "separator=/s", "-E", "occurrence=f", "-e", "ip.src", "-e", "ipv6.src", "-e", "tcp.dstport", "-e", "http.host", "-e", "http.request.uri"))
}

// TestOverIP has two readers get what comes after them, which tshark understands.
func TestOverIP(t *testing.T) {
	o, address := serveOverIP(t)
	s := PlainSink(new(quiet), o, PlainOptions{})
	speakHTTP(s.Open(connOf(flow.TCP, "192.0.2.1:40000", "192.0.2.2:443")), "missed.example")
	for _, server := range []string{"192.0.2.2:443", "192.0.2.2:8443"} {
		c, file := connect(t, address)
		speakHTTP(s.Open(connOf(flow.TCP, "192.0.2.1:40001", server)), "four.example")
		_, port, _ := strings.Cut(server, ":")
		want := []string{"192.0.2.1 " + port + " four.example /page0", "192.0.2.1 " + port + " four.example /page1"}
		const each = 1 + 1 + (64000+segmentData-1)/segmentData // a request, and a response's head and body
		for range 3 + 2*2*each + 3 {
			file = append(file, readPacket(t, c)...)
		}
		c.Close()
		if got := requests(t, file); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if n := o.Dropped(); n != 0 {
		t.Errorf("%d packets were dropped", n)
	}
}

// TestOverIPDoesNotWait has a reader that reads nothing.
func TestOverIPDoesNotWait(t *testing.T) {
	o, address := serveOverIP(t)
	connect(t, address)
	p := &capture.Packet{Time: noon, Link: capture.RawIP, Length: 1400, Data: make([]byte, 1400)}
	for n := 0; o.Dropped() == 0; n++ {
		if o.Append(flow.ID{}, p); n > 1_000_000 {
			t.Fatal("nothing is dropped")
		}
	}
	for range maxReaders - 1 {
		connect(t, address)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("there is no limit to readers")
	}
}

// TestMirror receives a mirror's packets, and has tshark read the frames inside.
func TestMirror(t *testing.T) {
	receiver, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	m, err := NewMirror(receiver.LocalAddr().String(), 7)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := PlainSink(new(quiet), m, PlainOptions{Segment: MirrorData})
	say := func(client, server, host string) {
		c := s.Open(connOf(flow.TCP, client, server))
		c.Data(flow.ToServer, noon, fmt.Appendf(nil, "GET /mirrored HTTP/1.1\r\nHost: %s\r\nX-Pad: %s\r\n\r\n", host, body[:3000]))
		c.Close(noon)
	}
	say("192.0.2.1:40000", "192.0.2.2:443", "four.example")
	say("[2001:db8::1]:40001", "[2001:db8::2]:8443", "six.example")
	var file bytes.Buffer
	out := capture.NewWriter(&file, Application)
	_ = receiver.SetReadDeadline(time.Now().Add(20 * time.Second))
	for range 2 * (3 + 2*3 + 3) {
		b := make([]byte, 2000)
		n, _, err := receiver.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		if n > 1500-40-udpHeader || string(b[:8]) != "\x08\x00\x00\x00\x00\x00\x07\x00" {
			t.Fatalf("%d bytes that begin % x", n, b[:8])
		}
		if err := out.Packet(&capture.Packet{Time: noon, Link: capture.Ethernet, Length: n - 8, Data: b[8:n]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := requests(t, file.Bytes()), []string{"192.0.2.1 443 four.example /mirrored", "2001:db8::1 8443 six.example /mirrored"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := m.Failed(); n != 0 {
		t.Errorf("%d packets were not sent", n)
	}
	if _, err := NewMirror("127.0.0.1:4789", MaxVNI+1); err == nil {
		t.Error("there is no last network")
	}
}

// fieldsOf takes blanks of empty fields away.
func fieldsOf(lines []string) (out []string) {
	for _, l := range lines {
		out = append(out, strings.Join(strings.Fields(l), " "))
	}
	return out
}
