package gateway_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// judgeOf is a sink whose verdict depends on all that was said in a direction so far.
type judgeOf struct {
	verdict func(dir flow.Direction, all string) flow.Verdict

	mu   sync.Mutex
	all  [2]strings.Builder
	conn *flow.Conn
	done chan struct{}
}

func (j *judgeOf) Open(c *flow.Conn) source.Stream {
	j.conn, j.done = c, make(chan struct{})
	return j
}

func (j *judgeOf) Data(dir flow.Direction, _ time.Time, b []byte) flow.Verdict {
	if !j.mu.TryLock() {
		panic("two calls at once")
	}
	defer j.mu.Unlock()
	j.all[dir].Write(b)
	return j.verdict(dir, j.all[dir].String())
}

func (j *judgeOf) Gap(flow.Direction, time.Time, int) { panic("there are no gaps") }
func (j *judgeOf) Close(time.Time)                    { close(j.done) }

// recorder is an origin that keeps what it is sent.
type recorder struct {
	mu  sync.Mutex
	got bytes.Buffer
	end chan struct{} // closed with the connection
}

func (r *recorder) serve(t testing.TB, cfg *tls.Config, say string) (address string) {
	t.Helper()
	r.end = make(chan struct{})
	l := listen(t)
	serve(t, l, func(c net.Conn) {
		defer close(r.end)
		s := tls.Server(c, cfg)
		if _, err := io.WriteString(s, say); err != nil {
			return
		}
		b := make([]byte, 4096)
		for {
			n, err := s.Read(b)
			r.mu.Lock()
			r.got.Write(b[:n])
			r.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	return l.Addr().String()
}

func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

// await waits until the origin was sent the text.
func (r *recorder) await(t testing.TB, want string) {
	t.Helper()
	for end := time.Now().Add(patience); r.text() != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the origin was sent %q, want %q", r.text(), want)
		}
	}
}

// TestVerdicts has a client send pieces that a verdict lets through, holds or drops, and looks at what reaches the origin.
func TestVerdicts(t *testing.T) {
	hold := gateway.Hold{Bytes: 10, Time: time.Minute}
	open, quick := hold, hold
	open.Open, quick.Time = true, 50*time.Millisecond
	quickOpen := quick
	quickOpen.Open = true
	// upTo holds until the word is there, then passes or drops.
	upTo := func(word string, then flow.Verdict) func(flow.Direction, string) flow.Verdict {
		return func(_ flow.Direction, all string) flow.Verdict {
			if strings.Contains(all, word) {
				return then
			}
			return flow.Hold
		}
	}
	for _, tt := range []struct {
		name    string
		hold    gateway.Hold
		verdict func(flow.Direction, string) flow.Verdict
		say     []string
		want    string
		ends    bool // the connection is ended by the gateway
	}{
		{"pass", hold, upTo("", flow.Pass), []string{"ab", "cd"}, "abcd", false},
		{"drop", hold, upTo("", flow.Drop), []string{"secret"}, "", true},
		{"drop later", hold, func(_ flow.Direction, all string) flow.Verdict {
			if strings.Contains(all, "bad") {
				return flow.Drop
			}
			return flow.Pass
		}, []string{"good", "bad", "more"}, "good", true},
		{"hold, then pass", hold, upTo("ef", flow.Pass), []string{"ab", "cd", "ef", "gh"}, "abcdefgh", false},
		{"hold, then drop", hold, upTo("ef", flow.Drop), []string{"ab", "cd", "ef"}, "", true},
		{"hold too much, closed", hold, upTo("never", flow.Pass), []string{"0123456789", "x"}, "", true},
		{"hold too much, open", open, upTo("never", flow.Pass), []string{"0123456789", "x"}, "0123456789x", false},
		{"hold too long, closed", quick, upTo("never", flow.Pass), []string{"ab"}, "", true},
		{"hold too long, open", quickOpen, upTo("never", flow.Pass), []string{"ab"}, "ab", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := &judgeOf{verdict: tt.verdict}
			w := newWorld(t, options{rules: inspectAll(policy.Cases{}), sink: sink, config: func(c *gateway.Config) { c.Hold = tt.hold }})
			var o recorder
			address := o.serve(t, &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), forShop).tls()}}, "")
			c, err := w.handshake(t, address, w.client())
			check(t, err)
			var failed error // of a write that finds the connection ended: a read would find no more than its end
			for _, piece := range tt.say {
				_, err := io.WriteString(c, piece)
				failed = errors.Join(failed, err)
				if err != nil && !tt.ends {
					t.Fatal(err)
				}
				for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) { // each piece is a call of its own
					sink.mu.Lock()
					heard := strings.HasSuffix(sink.all[flow.ToServer].String(), piece)
					sink.mu.Unlock()
					if heard || err != nil {
						break
					}
					select {
					case <-sink.done:
						end = time.Time{}
					default:
					}
				}
			}
			if !tt.ends {
				o.await(t, tt.want)
				check(t, c.Close())
				<-sink.done
				if sink.conn.Policy.Action != flow.Inspect {
					t.Errorf("told as %s", sink.conn.Policy.Action)
				}
				return
			}
			if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || failed == nil && errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("the client reads %d bytes and %v", n, err)
			}
			<-o.end
			<-sink.done
			if o.text() != tt.want {
				t.Errorf("the origin was sent %q, want %q", o.text(), tt.want)
			}
			if sink.conn.Policy.Action != flow.Block || sink.conn.Decryption.State != flow.DecryptedYes {
				t.Errorf("told as %s, %+v", sink.conn.Policy.Action, sink.conn.Decryption)
			}
		})
	}
}

// TestHeldBytesAtTheEnd closes a direction whose bytes are held.
func TestHeldBytesAtTheEnd(t *testing.T) {
	for _, open := range []bool{true, false} {
		sink := &judgeOf{verdict: func(flow.Direction, string) flow.Verdict { return flow.Hold }}
		w := newWorld(t, options{rules: inspectAll(policy.Cases{}), sink: sink, config: func(c *gateway.Config) { c.Hold.Open = open }})
		var o recorder
		address := o.serve(t, &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), forShop).tls()}}, "")
		c, err := w.handshake(t, address, w.client())
		check(t, err)
		_, err = io.WriteString(c, "held")
		check(t, err)
		check(t, c.Close())
		<-o.end
		<-sink.done
		if want := map[bool]string{true: "held"}[open]; o.text() != want {
			t.Errorf("open is %t: the origin was sent %q, want %q", open, o.text(), want)
		}
	}
}

// TestDroppedAnswer drops what an origin says: the client must not see a byte of it.
func TestDroppedAnswer(t *testing.T) {
	sink := &judgeOf{verdict: func(dir flow.Direction, all string) flow.Verdict {
		if dir == flow.ToClient {
			return flow.Drop
		}
		return flow.Pass
	}}
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), sink: sink})
	var o recorder
	address := o.serve(t, &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), forShop).tls()}}, "malware")
	c, err := w.handshake(t, address, w.client())
	check(t, err)
	if b, err := io.ReadAll(c); len(b) > 0 || err == nil {
		t.Errorf("the client reads %q, %v", b, err)
	}
	<-sink.done
}
