package blob

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/export"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// fields returns one line per packet that passes the filter: the fields, separated by blanks.
func fields(t testing.TB, file []byte, filter string, names ...string) []string {
	t.Helper()
	args := []string{"-Y", filter, "-T", "fields", "-E", "separator=/s"}
	for _, n := range names {
		args = append(args, "-e", n)
	}
	return testkit.Tshark(t, file, args...)
}

// buffer is a bytes.Buffer that several goroutines may write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

// serveTLS runs an HTTPS server in the namespace and returns its address and where its session keys go.
func serveTLS(t testing.TB, ns *testkit.Namespace) (addr string, keys *buffer) {
	t.Helper()
	keys = new(buffer)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "you asked for %s, and get %s", r.URL, strings.Repeat("plaintext ", 3000))
	}))
	s.Listener.Close()
	var err error
	ns.Do(t, func() { s.Listener, err = net.Listen("tcp", net.JoinHostPort(ns.IPv4.String(), "443")) })
	if err != nil {
		t.Fatal(err)
	}
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{KeyLogWriter: keys}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), keys
}

// captureInto captures on the server's side into a store, as packets of connection 1, until stop is called.
func captureInto(t testing.TB, ns *testkit.Namespace, p *Packets) (stop func()) {
	t.Helper()
	var live *capture.Live
	var err error
	ns.Do(t, func() { live, err = capture.OpenLive(capture.LiveConfig{Interface: ns.Interface}) })
	if err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var read atomic.Uint64
	go func() {
		defer close(ended)
		for packet := new(capture.Packet); live.Read(packet) == nil; read.Add(1) {
			p.Append(connID(1), packet)
		}
	}()
	return func() {
		want := live.Stats().Received
		for deadline := time.Now().Add(10 * time.Second); read.Load() < want && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		live.Close()
		<-ended
	}
}

// TestWriteBefore captures what curl asks a TLS server for, and lets tshark decrypt the export.
func TestWriteBefore(t *testing.T) {
	testkit.Need(t, "curl")
	client, server := testkit.VethPair(t)
	addr, keys := serveTLS(t, server)
	p, stop := start(t, Config{Dir: t.TempDir()})
	stopCapture := captureInto(t, server, p)
	for _, version := range []string{"--http1.1", "--http2"} {
		cmd := client.Command(context.Background(), "curl", "-sSk", version, "https://"+addr+"/secret"+version)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "plaintext") {
			t.Fatalf("curl: %v\n%.200s", err, out)
		}
	}
	stopCapture()
	stop()

	var with, without bytes.Buffer
	if err := WriteBefore(&with, p.Read(connID(1)), keys.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := WriteBefore(&without, p.Read(connID(1)), nil); err != nil {
		t.Fatal(err)
	}
	got := fields(t, with.Bytes(), "http.request", "http.request.method", "http.request.uri")
	if diff := cmp.Diff([]string{"GET /secret--http1.1"}, got); diff != "" {
		t.Errorf("HTTP/1.1 requests (-want +got)\n%s", diff)
	}
	got = fields(t, with.Bytes(), "http2.headers.path", "http2.headers.method", "http2.headers.path")
	if diff := cmp.Diff([]string{"GET /secret--http2"}, got); diff != "" {
		t.Errorf("HTTP/2 requests (-want +got)\n%s", diff)
	}
	if got := fields(t, without.Bytes(), "http or http2", "frame.number"); len(got) != 0 {
		t.Errorf("decrypted without keys: %q", got)
	}
	if got := fields(t, without.Bytes(), "tls.handshake.type == 1", "frame.interface_name"); len(got) != 2 || got[0] != "veth0" {
		t.Errorf("ClientHellos on interfaces %q", got)
	}
	if application := sectionApplication(with.Bytes()); application != export.Application {
		t.Errorf("application %q", application)
	}
	if bytes.Contains(without.Bytes(), []byte("TRAFFIC_SECRET")) {
		t.Error("there are keys in a file without keys")
	}
}

// sectionApplication returns the option of the section header that names the program: the first of ours.
func sectionApplication(file []byte) string {
	n := int(file[26])
	return string(file[28 : 28+n])
}

// TestExportRoundTrip writes packets of several links and reads them with the capture package.
func TestExportRoundTrip(t *testing.T) {
	want := []capture.Packet{
		*packetOf(0, 1, 60), *packetOf(1, 2, 61), *packetOf(0, 3, 62),
		{Time: noon, Link: capture.RawIP, Length: 63, Data: bytes.Repeat([]byte{9}, 63), Interface: "eth0"},
		{Time: noon, Link: capture.RawIP, Length: 3, Data: []byte{1, 2, 3}},
	}
	damage := errors.New("damage")
	packets := func(yield func(capture.Packet, error) bool) {
		for i, p := range want {
			if i == 2 && !yield(capture.Packet{}, damage) {
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
	var out bytes.Buffer
	if err := WriteBefore(&out, packets, []byte("CLIENT_RANDOM 00 11\n")); !errors.Is(err, damage) {
		t.Errorf("got %v, want the damage", err)
	}
	var secrets []string
	r, err := capture.NewReader("export", &out, capture.FileOptions{Secrets: func(kind uint32, b []byte) {
		secrets = append(secrets, fmt.Sprintf("%x %s", kind, b))
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := collect(t, all(r))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packets (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"544c534b CLIENT_RANDOM 00 11\n"}, secrets); diff != "" {
		t.Errorf("secrets (-want +got)\n%s", diff)
	}
}

// all yields the packets of a reader.
func all(r capture.Reader) iter.Seq2[capture.Packet, error] {
	return func(yield func(capture.Packet, error) bool) {
		for {
			var p capture.Packet
			if err := r.Read(&p); err == io.EOF || !yield(p, err) || err != nil {
				return
			}
		}
	}
}

func TestExportWriteError(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	packets := func(yield func(capture.Packet, error) bool) {
		for i := 0; yield(*packetOf(0, i, 1400), nil); i++ {
		}
	}
	if err := WriteAfter(w, packets); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want io.ErrClosedPipe", err)
	}
	f := export.NewFile(w)
	for i := range 100 {
		f.Append(connID(0), packetOf(0, i, 1400))
	}
	if err := f.Close(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("file: got %v, want io.ErrClosedPipe", err)
	}
}
