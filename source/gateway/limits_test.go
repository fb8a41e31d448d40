package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

func TestGatewayIsNotItsOwnClient(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	for _, l := range []string{w.proxy, w.socks} {
		c, err := net.Dial("tcp", w.proxy)
		check(t, err)
		defer c.Close()
		fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", l, l)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		check(t, err)
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", l, resp.Status)
		}
	}
}

func TestTooManyOfOneClient(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: func(c *gateway.Config) { c.Limits.PerClient = 1 }})
	address, _ := w.shop(t, nil)
	first, err := w.handshake(t, address, w.client())
	check(t, err)
	defer first.Close()
	second, err := net.Dial("tcp", w.proxy)
	check(t, err)
	defer second.Close()
	_ = second.SetReadDeadline(time.Now().Add(patience))
	if _, err := second.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a second connection: %v", err)
	}
	echo(t, first, "still here")
	if s := w.Stats(); s.OverClient != 1 || s.OverCapacity != 0 || s.Open != 1 || s.Inspected != 1 {
		t.Errorf("counted %+v", s)
	}
}

// TestAsManyAsMayBe has one connection more than may be inspected.
func TestAsManyAsMayBe(t *testing.T) {
	for choice, want := range map[policy.Choice]flow.Action{policy.ByDefault: flow.Bypass, policy.Block: flow.Block} {
		w := newWorld(t, options{rules: inspectAll(policy.Cases{OverCapacity: choice}), config: func(c *gateway.Config) { c.Limits.Inspected = 1 }})
		address, _ := w.shop(t, nil)
		first, err := w.handshake(t, address, w.client())
		check(t, err)
		cfg := w.client()
		cfg.RootCAs = w.public.pool()
		second, err := w.handshake(t, address, cfg)
		if (err == nil) != (want == flow.Bypass) {
			t.Errorf("%q: %v", choice, err)
		}
		if err == nil {
			echo(t, second, "as it is")
			second.Close()
		}
		if r := w.awaitTLS(t); r.Policy.Action != want || r.Decryption.Reason != flow.OverCapacity {
			t.Errorf("%q: told %+v, %+v", choice, r.Policy, r.Decryption)
		}
		echo(t, first, "still here")
		first.Close()
		w.awaitTLS(t)
		third, err := w.handshake(t, address, w.client())
		check(t, err)
		third.Close()
	}
}

// TestUnfinishedHellos has clients that begin hellos and do not end them: together they may only say so much.
func TestUnfinishedHellos(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: func(c *gateway.Config) { c.Limits.Greetings = 20 << 10 }})
	address, _ := w.shop(t, nil)
	w.fillGreetings(t, address, func() net.Conn { return w.connect(t, address) })
}

// TestUnfinishedLaterHellos has them do so where TLS begins in the midst of the connection.
func TestUnfinishedLaterHellos(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), config: func(c *gateway.Config) { c.Limits.Greetings = 20 << 10 }})
	address, _ := w.shop(t, nil)
	mailman := w.mailman(t, nil)
	for range 3 { // each gives back what it has taken
		w.fillGreetings(t, address, func() net.Conn { return w.askForTLS(t, mailman) })
	}
}

// fillGreetings has three clients begin hellos, of whom one is silenced, while others go on.
func (w *world) fillGreetings(t *testing.T, address string, connect func() net.Conn) {
	t.Helper()
	for end := time.Now().Add(patience); w.Stats().Open > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("those before are not gone")
		}
	}
	before := w.Stats().OverCapacity
	start := append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0xff, 0}, make([]byte, 12<<10)...)
	var open []net.Conn
	for range 3 {
		c := connect()
		defer c.Close()
		_, err := c.Write(start)
		check(t, err)
		open = append(open, c)
	}
	ended := make(chan int, len(open))
	for i, c := range open {
		go func() {
			_, _ = c.Read(make([]byte, 1))
			ended <- i
		}()
	}
	<-ended // whichever was the last to say too much
	if s := w.Stats(); s.OverCapacity != before+1 {
		t.Errorf("counted %+v", s)
	}
	other, err := w.handshake(t, address, w.client())
	check(t, err)
	defer other.Close()
	echo(t, other, "others go on")
	for _, c := range open {
		c.Close()
	}
}
