package content

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse"
)

// output returns an Output that collects the anomalies.
func output(limits parse.Limits) (*parse.Output, *[]string) {
	codes := new([]string)
	return &parse.Output{
		Emit:      func(event.Body) {},
		Anomaly:   func(code string) { *codes = append(*codes, code) },
		Become:    func(string, *parse.Upgrade) {},
		Seen:      func() time.Time { return time.UnixMilli(1) },
		Exhausted: func() bool { return false },
		Limits:    limits,
	}, codes
}

// encode applies one encoding.
func encode(t testing.TB, encoding string, plain []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&buf)
	case "deflate":
		w = zlib.NewWriter(&buf)
	case "raw deflate":
		w, _ = flate.NewWriter(&buf, 6)
	case "br":
		w = brotli.NewWriterLevel(&buf, 5)
	case "zstd":
		w, _ = zstd.NewWriter(&buf)
	default:
		return plain
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// sample returns n bytes that compress somewhat.
func sample(n int) []byte {
	random := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + random.IntN(8))
	}
	return b
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// feed writes b in pieces of n bytes and overwrites each piece once it was written.
func feed(s *Sink, b []byte, n int) {
	for len(b) > 0 {
		piece := bytes.Clone(b[:min(n, len(b))])
		s.Write(piece)
		b = b[len(piece):]
		clear(piece)
	}
}

func TestEncodingsAreUndone(t *testing.T) {
	plain := sample(100_000)
	for _, c := range []struct {
		header, undone string
		apply          []string
	}{
		{"", "", nil},
		{"identity", "", nil},
		{"gzip", "gzip", []string{"gzip"}},
		{"X-GZip", "gzip", []string{"gzip"}},
		{"deflate", "deflate", []string{"deflate"}},
		{"deflate", "deflate", []string{"raw deflate"}},
		{"br", "br", []string{"br"}},
		{"zstd", "zstd", []string{"zstd"}},
		{"gzip, br", "gzip, br", []string{"gzip", "br"}},
		{"gzip,gzip , gzip", "gzip, gzip, gzip", []string{"gzip", "gzip", "gzip"}},
		{"zstd, deflate, br, gzip", "zstd, deflate, br, gzip", []string{"zstd", "raw deflate", "br", "gzip"}},
	} {
		wire := plain
		for _, encoding := range c.apply {
			wire = encode(t, encoding, wire)
		}
		for _, piece := range []int{1, 7, 1460, 1 << 20} {
			t.Run(fmt.Sprint(c.header, " as ", c.apply, " in pieces of ", piece), func(t *testing.T) {
				out, codes := output(parse.DefaultLimits)
				s := New(out, c.header)
				feed(s, wire, piece)
				want := event.Content{
					Size: int64(len(plain)), WireSize: int64(len(wire)), Encoding: c.undone, Type: "text/plain", SHA256: digest(plain),
					State: event.Complete, Body: plain[:parse.DefaultLimits.Body], Truncated: true,
				}
				if diff := cmp.Diff(want, s.Finish(event.Complete)); diff != "" {
					t.Errorf("content differs (-want +got):\n%s", diff)
				}
				if len(*codes) > 0 {
					t.Errorf("anomalies %q", *codes)
				}
			})
		}
	}
}

func TestContentThatIsNotAsItShouldBe(t *testing.T) {
	plain := sample(10_000)
	gz, br, zs, zl := encode(t, "gzip", plain), encode(t, "br", plain), encode(t, "zstd", plain), encode(t, "deflate", plain)
	broken := bytes.Clone(gz)
	broken[len(broken)-5] ^= 1 // the checksum
	for _, c := range []struct {
		name, encoding string
		wire           []byte
		code           string
		state          event.State
		plain          []byte // nil: some prefix
	}{
		{"gzip of two members", "gzip", append(bytes.Clone(gz), gz...), "", event.Complete, append(bytes.Clone(plain), plain...)},
		{"bytes behind gzip", "gzip", append(bytes.Clone(gz), "tail"...), TrailingBytes, event.Complete, plain},
		{"bytes behind zlib", "deflate", append(bytes.Clone(zl), "tail"...), TrailingBytes, event.Complete, plain},
		{"bytes behind br", "br", append(bytes.Clone(br), "tail"...), TrailingBytes, event.Complete, plain},
		{"bytes behind zstd", "zstd", append(bytes.Clone(zs), "tail"...), TrailingBytes, event.Complete, plain},
		{"plain called gzip", "gzip", plain, NotEncoded, event.Complete, plain},
		{"plain called zstd", "zstd", plain, NotEncoded, event.Complete, plain},
		{"unknown encoding", "gzip, compress", plain, UnknownEncoding, event.Complete, plain},
		{"five encodings", "gzip,gzip,gzip,gzip,gzip", plain, TooManyEncodings, event.Complete, plain},
		{"nothing called gzip", "gzip", nil, "", event.Complete, []byte{}},
		{"one byte of gzip", "gzip", gz[:1], NotEncoded, event.Complete, gz[:1]},
		{"half of gzip", "gzip", gz[:len(gz)/2], Undecodable, event.Truncated, nil},
		{"half of br", "br", br[:len(br)/2], Undecodable, event.Truncated, nil},
		{"half of zstd", "zstd", zs[:len(zs)/2], Undecodable, event.Truncated, nil},
		{"broken gzip", "gzip", broken, Undecodable, event.Truncated, nil},
	} {
		for _, piece := range []int{1, 1 << 20} {
			t.Run(fmt.Sprint(c.name, " in pieces of ", piece), func(t *testing.T) {
				out, codes := output(parse.DefaultLimits)
				s := New(out, c.encoding)
				feed(s, c.wire, piece)
				got := s.Finish(event.Complete)
				if want := strings.Fields(c.code); !cmp.Equal(want, append([]string{}, *codes...)) {
					t.Errorf("anomalies %q, want %q", *codes, want)
				}
				if got.State != c.state || got.WireSize != int64(len(c.wire)) {
					t.Errorf("state %q and %d bytes, want %q and %d", got.State, got.WireSize, c.state, len(c.wire))
				}
				switch {
				case c.plain != nil && (got.SHA256 != digest(c.plain) || !bytes.Equal(got.Body, c.plain)):
					t.Errorf("got %d bytes with hash %q", got.Size, got.SHA256)
				case c.plain == nil && (got.SHA256 != "" || !bytes.HasPrefix(plain, got.Body)):
					t.Errorf("hash %q, %d bytes that are no prefix", got.SHA256, len(got.Body))
				}
			})
		}
	}
}

func TestGaps(t *testing.T) {
	plain := sample(100)
	out, _ := output(parse.DefaultLimits)
	s := New(out, "")
	s.Write(plain[:40])
	s.Gap(20)
	s.Write(plain[60:])
	want := event.Content{Size: 100, WireSize: 100, Type: "text/plain", State: event.HasGap, Body: plain[:40], Truncated: true}
	if diff := cmp.Diff(want, s.Finish(event.Complete)); diff != "" {
		t.Errorf("plain content differs (-want +got):\n%s", diff)
	}
	wire := encode(t, "gzip", sample(100_000))
	s = New(out, "gzip")
	s.Write(wire[:len(wire)/2])
	s.Gap(10)
	s.Write(wire[len(wire)/2+10:])
	got := s.Finish(event.Complete)
	if got.State != event.HasGap || got.WireSize != int64(len(wire)) || got.Size == 0 || got.Size > 60_000 || got.SHA256 != "" {
		t.Errorf("gzip with a gap: %d of %d bytes, state %s, hash %q", got.Size, got.WireSize, got.State, got.SHA256)
	}
}

// TestHashed checks that only what is short enough has a hash, and that all else is told of what is not.
func TestHashed(t *testing.T) {
	plain := sample(1000)
	for _, encoding := range []string{"", "gzip"} {
		for limit, want := range map[int64]bool{0: false, 999: false, 1000: true, 1 << 40: true} {
			limits := parse.DefaultLimits
			limits.Hashed = limit
			out, codes := output(limits)
			s := New(out, encoding)
			feed(s, encode(t, encoding, plain), 100)
			got := s.Finish(event.Complete)
			if hashed := got.SHA256 != ""; hashed != want || got.Size != 1000 || got.State != event.Complete || !bytes.Equal(got.Body, plain) || len(*codes) > 0 {
				t.Errorf("%q, hashed up to %d bytes: hash %q, %d bytes, state %s, anomalies %q", encoding, limit, got.SHA256, got.Size, got.State, *codes)
			}
		}
	}
}

func TestBombsAreCut(t *testing.T) {
	zeros := make([]byte, 4<<20)
	twice := encode(t, "gzip", encode(t, "gzip", make([]byte, 16<<20)))
	for _, c := range []struct {
		name, encoding, code string
		wire                 []byte
		size, ratio          int64
		exhausted            bool
	}{
		{"size", "gzip", SizeExceeded, encode(t, "gzip", zeros), 1 << 20, 1 << 40, false},
		{"ratio", "gzip", RatioExceeded, encode(t, "gzip", zeros), 1 << 40, 500, false},
		{"ratio of br", "br", RatioExceeded, encode(t, "br", zeros), 1 << 40, 500, false},
		{"ratio of zstd", "zstd", RatioExceeded, encode(t, "zstd", zeros), 1 << 40, 500, false},
		{"ratio of both layers", "gzip, gzip", RatioExceeded, twice, 1 << 40, 2000, false},
		{"time", "gzip", TimeExceeded, encode(t, "gzip", zeros), 1 << 40, 1 << 40, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, codes := output(parse.Limits{Body: 100, Hashed: 1 << 40, Decompressed: c.size, Ratio: c.ratio})
			out.Exhausted = func() bool { return c.exhausted }
			s := New(out, c.encoding)
			feed(s, c.wire, 1460)
			got := s.Finish(event.Complete)
			if got.State != event.Truncated || got.SHA256 != "" || !cmp.Equal(*codes, []string{c.code}) {
				t.Errorf("state %s, hash %q, anomalies %q", got.State, got.SHA256, *codes)
			}
			if limit := max(c.ratio*int64(len(c.wire)), 1<<20) + pieceSize; got.Size > min(c.size, limit) || len(got.Body) != 100 {
				t.Errorf("%d bytes came out of %d, %d were kept", got.Size, len(c.wire), len(got.Body))
			}
		})
	}
}

// withMemory returns an output that may take so many bytes, and the budget that they are taken from.
func withMemory(n int64) (*parse.Output, *[]string, *parse.Budget) {
	out, codes := output(parse.DefaultLimits)
	budget := parse.NewBudget(4 * n) // a connection gets a quarter
	memory := budget.Memory()
	out.Memory = &memory
	return out, codes, budget
}

func TestContentIsLeftAsItIsWithoutMemory(t *testing.T) {
	for encoding, window := range map[string]int64{"gzip": deflateWindow, "deflate": deflateWindow, "br": 4 << 20, "zstd": zstdWindow} {
		t.Run(encoding, func(t *testing.T) {
			out, codes, budget := withMemory(2*window + 64<<10) // for two contents, and what is kept of three
			wire := encode(t, encoding, sample(10_000))
			var sinks []*Sink
			for range 3 {
				s := New(out, encoding)
				s.Write(wire[:len(wire)/2])
				sinks = append(sinks, s)
			}
			if !cmp.Equal(*codes, []string{OverMemory}) {
				t.Errorf("anomalies %q", *codes)
			}
			for i, s := range sinks {
				s.Write(wire[len(wire)/2:])
				got := s.Finish(event.Complete)
				if i < 2 && (got.Encoding != encoding || got.State != event.Complete) || i == 2 && (got.Encoding != "" || got.State != event.Truncated || got.SHA256 != "") {
					t.Errorf("content %d is %s, encoding %q, hash %q", i, got.State, got.Encoding, got.SHA256)
				}
				if i == 2 && !bytes.Equal(got.Body, wire) {
					t.Errorf("%d bytes of content %d were kept, not the %d that were sent", len(got.Body), i, len(wire))
				}
				s.Release()
			}
			if n := budget.Used(); n != 0 {
				t.Errorf("%d bytes were not given back", n)
			}
		})
	}
}

func TestNothingIsKeptWithoutMemory(t *testing.T) {
	out, codes, budget := withMemory(100_000)
	var sinks [3]*Sink
	for i := range sinks {
		sinks[i] = New(out, "")
		feed(sinks[i], sample(50_000), 1460)
	}
	if used := budget.Used(); used > 100_000 || !cmp.Equal(*codes, []string{OverMemory, OverMemory}) {
		t.Errorf("%d bytes are held, anomalies %q", used, *codes)
	}
	for i, s := range sinks {
		got := s.Finish(event.Complete)
		if got.State != event.Complete || got.Size != 50_000 || got.SHA256 == "" || got.Truncated != (len(got.Body) < 50_000) {
			t.Errorf("content %d is %s, %d bytes, hash %q, truncated %v", i, got.State, got.Size, got.SHA256, got.Truncated)
		}
		s.Release()
	}
	if n := budget.Used(); n != 0 {
		t.Errorf("%d bytes were not given back", n)
	}
}

// TestMessagesWithoutMemory: those of one stream are never taken for plain bytes, not even when there is memory again.
func TestMessagesWithoutMemory(t *testing.T) {
	out, codes, budget := withMemory(deflateWindow)
	out.Memory.Take(deflateWindow)
	i := NewInflater(out)
	for range 2 {
		s := i.Message()
		s.Write([]byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}) // "Hello", RFC 7692 section 7.2.3.1
		if got := s.Finish(event.Complete); got.State != event.Truncated || got.Size != 0 {
			t.Errorf("got %s with %d bytes", got.State, got.Size)
		}
		s.Release()
		out.Memory.Release()
	}
	i.Close()
	if !cmp.Equal(*codes, []string{OverMemory}) || budget.Used() != 0 {
		t.Errorf("anomalies %q, %d bytes were not given back", *codes, budget.Used())
	}
}

func TestCoroutinesEndWithTheirSink(t *testing.T) {
	out, _ := output(parse.DefaultLimits)
	wire := encode(t, "gzip", sample(100_000))
	before := runtime.NumGoroutine()
	for range 100 {
		s := New(out, "gzip, gzip")
		s.Write(wire[:len(wire)/2])
		s.Finish(event.Truncated)
		New(out, "br").Finish(event.Complete)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func TestPlainContentCostsNoAllocation(t *testing.T) {
	out, _ := output(parse.DefaultLimits)
	s, piece := New(out, ""), sample(16<<10)
	for range 8 {
		s.Write(piece)
	}
	if n := testing.AllocsPerRun(100, func() { s.Write(piece) }); n > 0 {
		t.Errorf("%v allocations a piece", n)
	}
}

func TestCompressedContentStreamsInConstantMemory(t *testing.T) {
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd"} {
		t.Run(encoding, func(t *testing.T) {
			wire := encode(t, encoding, sample(2<<20))
			out, _ := output(parse.DefaultLimits)
			s := New(out, encoding)
			feedInPlace(s, wire[:len(wire)/2])
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			feedInPlace(s, wire[len(wire)/2:])
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 256<<10 {
				t.Errorf("%d bytes were allocated for the second half", n)
			}
			if got := s.Finish(event.Complete); got.Size != 2<<20 || got.State != event.Complete {
				t.Errorf("%d bytes, state %s", got.Size, got.State)
			}
		})
	}
}

func feedInPlace(s *Sink, b []byte) {
	for ; len(b) > 0; b = b[min(16<<10, len(b)):] {
		s.Write(b[:min(16<<10, len(b))])
	}
}

func BenchmarkPlain(b *testing.B) { benchmark(b, "") }
func BenchmarkGzip(b *testing.B)  { benchmark(b, "gzip") }

func benchmark(b *testing.B, encoding string) {
	wire := encode(b, encoding, sample(1<<20))
	out, _ := output(parse.DefaultLimits)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		s := New(out, encoding)
		feedInPlace(s, wire)
		s.Finish(event.Complete)
	}
}
