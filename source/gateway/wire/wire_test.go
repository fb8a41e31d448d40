package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// pair returns a Conn and its peer.
func pair(t testing.TB) (*Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(accepted.(*net.TCPConn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		peer.Close()
		c.Close()
	})
	return c, peer.(*net.TCPConn)
}

func record(n int) string {
	return string([]byte{23, 3, 3, byte(n >> 8), byte(n)}) + strings.Repeat("x", n)
}

func say(t *testing.T, to io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
}

// waits tells whether Wait has nothing to return for a moment.
func (c *Conn) waits(t *testing.T) bool {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	err := c.Wait()
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return err != nil
}

func TestWaitsForWholeRecords(t *testing.T) {
	c, peer := pair(t)
	c.TLS()
	whole := record(1000) + record(3) + record(1<<14)
	for i := range 10 {
		say(t, peer, whole[i:i+1])
		if !c.waits(t) {
			t.Fatalf("%d bytes of a record are enough", i+1)
		}
	}
	if c.block != nil || c.part == nil || len(c.Peek()) != 10 {
		t.Errorf("while it waits, it keeps a block: %v, a part: %v, %d bytes", c.block != nil, c.part != nil, len(c.Peek()))
	}
	say(t, peer, whole[10:]+record(7)[:4])
	_ = peer.CloseWrite()
	b := make([]byte, 1<<15)
	for _, want := range []int{1005, 8, 5 + 1<<14, 4} {
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(b); n != want || err != nil {
			t.Fatalf("read %d bytes, %v; want %d", n, err, want)
		}
	}
	if n, err := c.Read(b); err != io.EOF || n != 0 || !c.Ended() {
		t.Errorf("behind the end: %d bytes, %v", n, err)
	}
	if c.block != nil || c.part != nil {
		t.Error("it keeps memory")
	}
	if in := c.In(); in != uint64(len(whole)+4) {
		t.Errorf("%d bytes came in", in)
	}
}

// TestReadsInPieces has crypto/tls's way of reading: a header first, and what is behind it with room for more.
func TestReadsInPieces(t *testing.T) {
	c, peer := pair(t)
	c.TLS()
	say(t, peer, record(600)+record(1))
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ room, want int }{{517, 517}, {512, 88}, {517, 6}} {
		if n, err := c.Read(make([]byte, step.room)); n != step.want || err != nil {
			t.Fatalf("read %d bytes into %d, %v; want %d", n, step.room, err, step.want)
		}
	}
}

func TestWhatIsNoRecord(t *testing.T) {
	c, peer := pair(t)
	c.TLS()
	say(t, peer, "\x17\x03\x03\xff\xff and so on")
	if err := c.Wait(); err != nil { // who reads refuses it
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 100)); n != 15 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	say(t, peer, "220 mail.example\r\n")
	if c.waits(t) {
		t.Error("it waits for the rest of what is no TLS")
	}
}

func TestPutsBack(t *testing.T) {
	c, peer := pair(t)
	say(t, peer, record(5)+record(6))
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	first := bytes.Clone(c.Peek())
	c.Discard()
	if len(c.Peek()) > 0 || !c.waits(t) {
		t.Error("what was skipped is still there")
	}
	say(t, peer, record(7))
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	c.Unread(first)
	c.TLS()
	for _, want := range []int{10, 11, 12} {
		if n, err := c.Read(make([]byte, 100)); n != want || err != nil {
			t.Errorf("read %d bytes, %v; want %d", n, err, want)
		}
	}
}

func TestDry(t *testing.T) {
	c, peer := pair(t)
	c.Dry(true)
	b := make([]byte, 10)
	if n, err := c.Read(b); n != 0 || !IsDry(err) {
		t.Errorf("read %d bytes, %v; want none", n, err)
	}
	say(t, peer, "hello")
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(b); n != 5 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if _, err := c.Read(b); !IsDry(err) {
		t.Errorf("got %v", err)
	}
	Reset(peer)
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(b); err == nil || IsDry(err) || err == io.EOF || c.Ended() {
		t.Errorf("got %v of a connection that was reset", err)
	}
}

func TestPoll(t *testing.T) {
	c, peer := pair(t)
	if err := c.Poll(); !IsDry(err) {
		t.Fatalf("got %v of a connection in which nothing was said", err)
	}
	say(t, peer, "hello")
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Poll(); err != nil || string(c.Peek()) != "hello" {
		t.Errorf("got %q, %v", c.Peek(), err)
	}
	c.Discard()
	Reset(peer)
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := c.Poll(); err != nil || c.err == nil {
		t.Errorf("got %v, %v: who reads is told how the connection has ended", err, c.err)
	}
}

func TestCork(t *testing.T) {
	c, peer := pair(t)
	c.Cork()
	say(t, c, "one ")
	say(t, c, "two ")
	if c.Out() != 0 {
		t.Errorf("%d bytes were sent", c.Out())
	}
	if err := c.Uncork(); err != nil || c.Out() != 8 || c.kept != nil {
		t.Errorf("%d bytes were sent, %v", c.Out(), err)
	}
	c.Cork()
	say(t, c, "three ")
	go func() { _, _ = peer.Write([]byte("answer")) }()
	if _, err := c.Read(make([]byte, 10)); err != nil || c.Out() != 14 {
		t.Errorf("%d bytes were sent before it waited, %v", c.Out(), err)
	}
	large := strings.Repeat("x", blockLen)
	say(t, c, "four ")
	say(t, c, large)
	say(t, c, large+"y")
	say(t, c, "end")
	if err := c.Uncork(); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	if all, err := io.ReadAll(peer); err != nil || string(all) != "one two three four "+large+large+"yend" {
		t.Errorf("the peer reads %d bytes, %v", len(all), err)
	}
}

// TestCorks checks that what two have gathered is sent once both are done, but not behind the end.
func TestCorks(t *testing.T) {
	c, peer := pair(t)
	c.Cork()
	say(t, c, "one ")
	c.Cork()
	say(t, c, "two ")
	if err := c.Uncork(); err != nil || c.Out() != 0 {
		t.Errorf("%d bytes were sent while more is gathered, %v", c.Out(), err)
	}
	if err := c.Uncork(); err != nil || c.Out() != 8 {
		t.Errorf("%d bytes were sent, %v", c.Out(), err)
	}
	c.Cork()
	say(t, c, "end")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(peer); err != nil || string(all) != "one two end" {
		t.Errorf("the peer reads %q, %v", all, err)
	}
}

// TestLastWords checks that what was gathered is sent before nothing can be any more, as behind the last alert of crypto/tls.
func TestLastWords(t *testing.T) {
	c, peer := pair(t)
	c.Cork()
	say(t, c, "the last words")
	if err := c.SetWriteDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := c.Uncork(); err != nil {
		t.Errorf("nothing is left, but: %v", err)
	}
	if _, err := c.Write([]byte("more")); err == nil {
		t.Error("more was sent")
	}
	c.Cork()
	_, _ = c.Write([]byte("more"))
	if err := c.CloseWrite(); err == nil {
		t.Error("it is not told that something is lost")
	}
	if all, err := io.ReadAll(peer); err != nil || string(all) != "the last words" {
		t.Errorf("the peer reads %q, %v", all, err)
	}
}

func TestOpenAlert(t *testing.T) {
	c, peer := pair(t)
	say(t, peer, record(100)+"\x15\x03\x03\x00\x02\x02\x2a")
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if code, ok := c.OpenAlert(); !ok || code != 42 {
		t.Errorf("got %d, %v", code, ok)
	}
}
