package admission

import (
	"errors"
	"net/netip"
	"testing"
)

func TestEnter(t *testing.T) {
	d := New(Limits{Conns: 4, PerClient: 2, Inspected: 1})
	enter := func(client string, want error) func() {
		t.Helper()
		leave, err := d.Enter(netip.MustParseAddr(client))
		if !errors.Is(err, want) {
			t.Fatalf("%s: got %v, want %v", client, err, want)
		}
		return leave
	}
	first := enter("192.0.2.1", nil)
	enter("::ffff:192.0.2.1", nil)
	enter("192.0.2.1", ErrClient)
	six := enter("2001:db8::1", nil)
	enter("2001:db8::2", nil)
	enter("2001:db8::3", ErrFull) // before it is asked who it is
	enter("192.0.2.2", ErrFull)
	first()
	enter("192.0.2.1", nil)
	six()
	enter("2001:db8:0:0:ffff::", nil)
	if conns, _ := d.Open(); conns != 4 {
		t.Errorf("%d are in, want 4", conns)
	}
}

func TestLeaveForgets(t *testing.T) {
	d := New(Default)
	for i := range 1000 {
		leave, err := d.Enter(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}))
		if err != nil {
			t.Fatal(err)
		}
		leave()
	}
	if n := len(d.clients); n != 0 {
		t.Errorf("%d clients that have left are remembered", n)
	}
}

func TestInspect(t *testing.T) {
	d := New(Limits{Inspected: 2})
	got := [3]bool{d.Inspect(), d.Inspect(), d.Inspect()}
	if got != [3]bool{true, true, false} {
		t.Errorf("got %t, want two of three", got)
	}
	if d.Done(); !d.Inspect() {
		t.Error("want one more after the end of one")
	}
}

func TestGreet(t *testing.T) {
	d := New(Limits{Greetings: 100})
	if !d.Greet(0, Free) || !d.Greet(Free, Free+60) {
		t.Error("want what is free, and 60 bytes of 100")
	}
	if d.Greet(0, Free+41) || !d.Greet(0, Free+40) {
		t.Error("want 40 bytes more, and not 41")
	}
	if d.Greet(Free+60, Free); !d.Greet(0, Free+60) {
		t.Error("want 60 bytes that were given back")
	}
}
