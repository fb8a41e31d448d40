package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/afpacket"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// mark begins the payload of the datagrams that the tests send.
const mark = "vitrine-capture-test "

// open captures in the namespace.
func open(t testing.TB, ns *testkit.Namespace, c LiveConfig) *Live {
	t.Helper()
	var l *Live
	var err error
	ns.Do(t, func() { l, err = OpenLive(c) })
	if err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// dial returns a UDP socket in the namespace.
func dial(t testing.TB, ns *testkit.Namespace, to string) net.Conn {
	t.Helper()
	var c net.Conn
	var err error
	ns.Do(t, func() { c, err = net.Dial("udp", to) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// listen returns a UDP socket in the namespace that nobody reads.
func listen(t testing.TB, ns *testkit.Namespace, at string) {
	t.Helper()
	var c net.PacketConn
	var err error
	ns.Do(t, func() { c, err = net.ListenPacket("udp", at) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
}

// send sends n datagrams of a size.
func send(t testing.TB, c net.Conn, n, size int) {
	t.Helper()
	b := append([]byte(mark), make([]byte, size-len(mark))...)
	for range n {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

// marked reads until n datagrams of the tests have come, or for ten seconds. Live has no deadline: Close ends it.
func marked(t testing.TB, l *Live, n int) []Packet {
	t.Helper()
	var all []Packet
	timer := time.AfterFunc(10*time.Second, func() { l.Close() })
	defer timer.Stop()
	var p Packet
	for len(all) < n {
		if err := l.Read(&p); err != nil {
			t.Fatalf("after %d of %d packets: %v", len(all), n, err)
		}
		if bytes.Contains(p.Data, []byte(mark)) {
			p.Data = bytes.Clone(p.Data)
			all = append(all, p)
		}
	}
	return all
}

func ip(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func TestLive(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	client, server := testkit.VethPair(t)
	listen(t, server, ":9")
	l := open(t, server, LiveConfig{Interface: "veth0", Promiscuous: true})
	before := time.Now()
	send(t, dial(t, client, "198.18.0.2:9"), 500, 1000)
	for i, p := range marked(t, l, 500) {
		if p.Link != Ethernet || p.Length != 14+20+8+1000 || len(p.Data) != p.Length || p.Interface != "veth0" {
			t.Fatalf("packet %d: link %d, %d of %d bytes on %q", i, p.Link, len(p.Data), p.Length, p.Interface)
		}
		if binary.BigEndian.Uint16(p.Data[12:]) != 0x0800 {
			t.Fatalf("packet %d: type %x", i, p.Data[12:14])
		}
		if d := p.Time.Sub(before); d < 0 || d > 5*time.Second {
			t.Fatalf("packet %d: %v after it was sent", i, d)
		}
	}
	if s := l.Stats(); s.Received < 500 || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

func TestLiveSnapLength(t *testing.T) {
	client, server := testkit.VethPair(t)
	l := open(t, server, LiveConfig{Interface: "veth0", SnapLength: 90})
	send(t, dial(t, client, "198.18.0.2:9"), 1, 1000)
	if p := marked(t, l, 1)[0]; len(p.Data) != 90 || p.Length != 1042 {
		t.Errorf("%d of %d bytes", len(p.Data), p.Length)
	}
}

func TestLiveCountsDrops(t *testing.T) {
	client, server := testkit.VethPair(t)
	listen(t, server, ":9")
	l := open(t, server, LiveConfig{Interface: "veth0", RingBytes: 1 << 20})
	send(t, dial(t, client, "198.18.0.2:9"), 3000, 1400)
	s := l.Stats()
	if s.Dropped == 0 || s.Received == 0 || s.Received+s.Dropped < 3000 {
		t.Fatalf("%+v", s)
	}
	// The kernel sends packets of its own too, now and then.
	if got, last := uint64(len(rest(t, l))), l.Stats().Received; got < s.Received || got > last {
		t.Errorf("%d packets read, received %d to %d", got, s.Received, last)
	}
}

// rest reads as many packets as the kernel has received, and another 100 ms.
func rest(t testing.TB, l *Live) (all []Packet) {
	t.Helper()
	want := l.Stats().Received
	limit := time.AfterFunc(10*time.Second, func() { l.Close() })
	defer limit.Stop()
	var p Packet
	for l.Read(&p) == nil {
		p.Data = bytes.Clone(p.Data)
		if all = append(all, p); uint64(len(all)) == want {
			time.AfterFunc(100*time.Millisecond, func() { l.Close() })
		}
	}
	return all
}

func TestLiveLatency(t *testing.T) {
	client, server := testkit.VethPair(t)
	listen(t, server, ":9")
	l := open(t, server, LiveConfig{Interface: "veth0"})
	c := dial(t, client, "198.18.0.2:9")
	const limit, tries = 50 * time.Millisecond, 3 // a machine that is busy gets another chance
	for range tries {
		var waits []time.Duration
		for range 25 {
			send(t, c, 1, 100)
			waits = append(waits, time.Since(marked(t, l, 1)[0].Time))
		}
		slices.Sort(waits)
		p50 := waits[len(waits)/2]
		t.Logf("hand-over of single packets: p50 %v, worst %v", p50, waits[len(waits)-1])
		if p50 <= limit {
			return
		}
	}
	t.Errorf("half of the packets wait longer than %v", limit)
}

func TestLiveInterfaceGoesDown(t *testing.T) {
	client, server := testkit.VethPair(t)
	listen(t, server, ":9")
	l := open(t, server, LiveConfig{Interface: "veth0"})
	send(t, dial(t, client, "198.18.0.2:9"), 3, 100)
	ip(t, "-n", server.Name, "link", "set", "veth0", "down")
	marked(t, l, 3) // what was captured before comes first
	var err error
	for p := new(Packet); err == nil; err = l.Read(p) {
	}
	if !errors.Is(err, ErrDown) {
		t.Errorf("got %v, want ErrDown", err)
	}
	server.Do(t, func() { _, err = OpenLive(LiveConfig{Interface: "veth0"}) })
	if !errors.Is(err, ErrDown) {
		t.Errorf("open: got %v, want ErrDown", err)
	}
	ip(t, "-n", server.Name, "link", "set", "veth0", "up")
	l = open(t, server, LiveConfig{Interface: "veth0"})
	send(t, dial(t, client, "198.18.0.2:9"), 3, 100)
	marked(t, l, 3)
	ip(t, "-n", client.Name, "link", "delete", "veth0")
	for err = nil; err == nil; err = l.Read(new(Packet)) {
	}
	if !errors.Is(err, ErrDown) {
		t.Errorf("deleted: got %v, want ErrDown", err)
	}
}

func TestLiveClose(t *testing.T) {
	_, server := testkit.VethPair(t)
	l := open(t, server, LiveConfig{Interface: "veth0"})
	ended := make(chan error)
	go func() {
		var err error
		for p := new(Packet); err == nil; err = l.Read(p) {
		}
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want os.ErrClosed", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := l.Read(new(Packet)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	l.Stats()
}

func TestOpenLiveUnknownInterface(t *testing.T) {
	for _, name := range []string{"nonesuch0", "a-name-that-is-too-long-for-an-interface"} {
		_, err := OpenLive(LiveConfig{Interface: name})
		if err == nil {
			t.Fatal("opened an interface that does not exist")
		}
		testkit.SkipIfNotSupported(t, err)
		if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "lo") {
			t.Errorf("the error does not list what exists: %v", err)
		}
	}
}

// TestOpenLiveWithoutPermission takes every capability from one thread.
func TestOpenLiveWithoutPermission(t *testing.T) {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		var none [2]unix.CapUserData
		err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
		if err == nil {
			_, err = OpenLive(LiveConfig{Interface: "lo"})
		}
		result <- err
	}()
	err := <-result
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Errorf("got %v, want what is missing", err)
	}
}

// TestLiveCloseByReader closes while a packet is out, and never reads again: the packet stays, the ring goes later.
func TestLiveCloseByReader(t *testing.T) {
	client, server := testkit.VethPair(t)
	var l *Live
	var err error
	server.Do(t, func() { l, err = OpenLive(LiveConfig{Interface: "veth0"}) })
	if err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
	send(t, dial(t, client, "198.18.0.2:9"), 1, 100)
	var p Packet
	if err := l.Read(&p); err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(p.Data)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Data, before) {
		t.Error("the packet has changed")
	}
	p = Packet{}
	r := l.ring
	runtime.KeepAlive(l)
	freed := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.freed
	}
	for deadline := time.Now().Add(10 * time.Second); !freed(); time.Sleep(time.Millisecond) {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatal("the ring is never freed")
		}
	}
}

func TestLiveFanout(t *testing.T) {
	client, server := testkit.VethPair(t)
	listen(t, server, ":9")
	lives := []*Live{open(t, server, LiveConfig{Interface: "veth0", FanoutGroup: 77}), open(t, server, LiveConfig{Interface: "veth0", FanoutGroup: 77})}
	for range 32 {
		send(t, dial(t, client, "198.18.0.2:9"), 5, 100)
	}
	seen := map[uint16]int{} // source port -> the Live that has it
	total := 0
	for i, l := range lives {
		for _, p := range rest(t, l) {
			if !bytes.Contains(p.Data, []byte(mark)) {
				continue
			}
			total++
			port := binary.BigEndian.Uint16(p.Data[34:])
			if other, ok := seen[port]; ok && other != i {
				t.Fatalf("conversation of port %d is split", port)
			}
			seen[port] = i
		}
	}
	if total != 160 {
		t.Errorf("%d packets, want 160", total)
	}
}

func TestLiveDoesNotAllocate(t *testing.T) {
	client, server := testkit.VethPair(t)
	listen(t, server, ":9")
	l := open(t, server, LiveConfig{Interface: "veth0"})
	send(t, dial(t, client, "198.18.0.2:9"), 1100, 100)
	var p Packet
	if n := testing.AllocsPerRun(1000, func() {
		if err := l.Read(&p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

// BenchmarkLive reads packets that wait in the ring: the cost on our side, without the kernel's.
func BenchmarkLive(b *testing.B) {
	const waiting = 10_000
	for _, size := range []int{64, 1400} {
		client, server := testkit.VethPair(b)
		listen(b, server, ":9")
		c := dial(b, client, "198.18.0.2:9")
		run := func(name string, read func() int) {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					send(b, c, waiting, size)
					time.Sleep(100 * time.Millisecond)
					b.StartTimer()
					for range waiting {
						sum += read()
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*waiting), "ns/packet")
			})
		}
		l := open(b, server, LiveConfig{Interface: "veth0"})
		var p Packet
		run("vitrine", func() int {
			if err := l.Read(&p); err != nil {
				b.Fatal(err)
			}
			return len(p.Data)
		})
		l.Close()
		var other *afpacket.TPacket
		var err error
		server.Do(b, func() {
			other, err = afpacket.NewTPacket(afpacket.OptInterface("veth0"), afpacket.OptTPacketVersion(afpacket.TPacketVersion3),
				afpacket.OptBlockSize(blockSize), afpacket.OptNumBlocks(64), afpacket.OptBlockTimeout(20*time.Millisecond))
		})
		if err != nil {
			b.Fatal(err)
		}
		run("gopacket", func() int {
			data, _, err := other.ZeroCopyReadPacketData()
			if err != nil {
				b.Fatal(err)
			}
			return len(data)
		})
		other.Close()
	}
}

var sum int // keeps the benchmark's reads
