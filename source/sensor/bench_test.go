package sensor

import (
	"bytes"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
	"github.com/vitrine-ndr/vitrine/reassembly"
	"github.com/vitrine-ndr/vitrine/source/sourcetest"
	"github.com/vitrine-ndr/vitrine/store/blob"
)

// recording is a capture file in memory, with its keys.
type recording struct {
	file, keyLog []byte
	conns        int
}

func record(b *testing.B, wires ...*sourcetest.Wire) *recording {
	b.Helper()
	r := &recording{conns: len(wires)}
	var packets iter.Seq2[capture.Packet, error] = func(yield func(capture.Packet, error) bool) {
		for _, w := range wires {
			for _, p := range w.Packets {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
	var buf bytes.Buffer
	if err := blob.WriteAfter(&buf, packets); err != nil {
		b.Fatal(err)
	}
	for _, w := range wires {
		r.keyLog = append(r.keyLog, w.KeyLog...)
	}
	r.file = buf.Bytes()
	return r
}

// play runs packets to events on one core and returns the number of events.
func (r *recording) play(b *testing.B) (events int) {
	keys := keylog.NewStore(100_000)
	keys.Add(r.keyLog)
	s := New(Config{
		Inputs: []Input{{Name: "bench", Open: func() (capture.Reader, error) {
			return capture.NewReader("bench", bytes.NewReader(r.file), capture.FileOptions{})
		}}},
		Keys: keys, HeldBytes: DefaultHeldBytes, Reassembly: reassembly.DefaultConfig(),
	}, testkit.Logger(b))
	sink := inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Time: inspect.DefaultTime,
		Emit: func(*event.Event) { events++ },
	})
	if err := s.Run(b.Context(), sink); err != nil {
		b.Fatal(err)
	}
	if st := s.Stats(); st.Decrypted != uint64(r.conns) {
		b.Fatalf("%d of %d connections were decrypted", st.Decrypted, r.conns)
	}
	return events
}

func download(b *testing.B, size int) *recording {
	b.Helper()
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	return record(b, sourcetest.TLS(b, sourcetest.Conversation{Name: "download", Proto: flow.TCP, Steps: []parsetest.Step{
		{Dir: flow.ToServer, Data: []byte("GET /big HTTP/1.1\r\nHost: shop.example\r\n\r\n")},
		{Dir: flow.ToClient, Data: append([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"), body...)},
	}}, configs(b)["TLS 1.3"]))
}

// BenchmarkDownload runs the packets of a TLS 1.3 AES-128-GCM download to events.
func BenchmarkDownload(b *testing.B) {
	r := download(b, 256<<20)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b.SetBytes(int64(len(r.file)))
	b.ReportAllocs()
	for b.Loop() {
		r.play(b)
	}
	b.ReportMetric(8*float64(len(r.file))*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gbit/s")
}

// BenchmarkShortConnections runs TLS 1.3 connections of one small request each to events.
func BenchmarkShortConnections(b *testing.B) {
	const n = 2000
	cfg, web := configs(b)["TLS 1.3"], sourcetest.Conversation{Name: "short", Proto: flow.TCP, Steps: []parsetest.Step{
		{Dir: flow.ToServer, Data: []byte("GET /a HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\n\r\n")},
		{Dir: flow.ToClient, Data: []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}")},
	}}
	wires := make([]*sourcetest.Wire, n)
	for i := range wires {
		wires[i] = sourcetest.TLSFrom(b, web, cfg, uint16(10_000+i))
	}
	r := record(b, wires...)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b.ReportAllocs()
	for b.Loop() {
		r.play(b)
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "conns/s")
}

// BenchmarkVersusTshark runs the same file through both, in turn, each on one core, and compares medians.
func BenchmarkVersusTshark(b *testing.B) {
	tshark := testkit.Need(b, "tshark")
	r := download(b, 64<<20)
	dir := b.TempDir()
	file, keys := filepath.Join(dir, "download.pcapng"), filepath.Join(dir, "keys.log")
	for name, content := range map[string][]byte{file: r.file, keys: r.keyLog} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var ours, theirs []time.Duration
	for b.Loop() {
		for range 3 {
			ours = append(ours, timed(func() { r.play(b) }))
			theirs = append(theirs, timed(func() {
				cmd := exec.Command(tshark, "-r", file, "-o", "tls.keylog_file:"+keys, "-o", "tcp.reassemble_out_of_order:TRUE",
					"-Y", "http", "-T", "fields", "-e", "http.response.code")
				if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), "200") {
					b.Fatalf("tshark: %v: %q", err, out)
				}
			}))
		}
	}
	gbits := 8 * float64(len(r.file)) / 1e9
	b.ReportMetric(gbits/testkit.Median(ours).Seconds(), "Gbit/s")
	b.ReportMetric(gbits/testkit.Median(theirs).Seconds(), "tshark-Gbit/s")
	b.ReportMetric(float64(testkit.Median(theirs))/float64(testkit.Median(ours)), "times-tshark")
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
