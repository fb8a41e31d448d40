package frames

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/vitrine-ndr/vitrine/flow"
)

// verdicts judges streams as a test wants it.
type verdicts map[uint32]flow.Verdict

func (v verdicts) Judged() uint32                 { return 1 << 30 }
func (v verdicts) Verdict(id uint32) flow.Verdict { return v[id] }
func (v verdicts) Answer(id uint32) ([][2]string, []byte) {
	return [][2]string{{":status", "403"}, {"content-type", "text/plain"}}, []byte(fmt.Sprint("blocked ", id))
}

func (v verdicts) Over(id uint32) { delete(v, id) }

// peer writes frames.
type peer struct {
	bytes.Buffer
	*http2.Framer
	fields  bytes.Buffer
	encoder *hpack.Encoder
}

func newPeer() *peer {
	p := &peer{}
	p.Framer = http2.NewFramer(&p.Buffer, nil)
	p.encoder = hpack.NewEncoder(&p.fields)
	return p
}

func (p *peer) headers(t testing.TB, id uint32, end bool, lines ...string) {
	t.Helper()
	p.fields.Reset()
	for _, l := range lines {
		name, value, _ := strings.Cut(l, "=")
		must(t, p.encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: name == "cookie"}))
	}
	block := p.fields.Bytes()
	half := len(block) / 2
	must(t, p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:half], EndStream: end, PadLength: 3, Priority: http2.PriorityParam{StreamDep: 0, Weight: 7}}))
	must(t, p.WriteContinuation(id, true, block[half:]))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// read tells of frames, one a line.
func read(t testing.TB, b []byte) (all []string) {
	t.Helper()
	f := http2.NewFramer(io.Discard, bytes.NewReader(b))
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := f.ReadFrame()
		if err == io.EOF {
			return all
		}
		must(t, err)
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			var lines []string
			for _, f := range frame.Fields {
				lines = append(lines, f.Name+"="+f.Value)
				if f.Sensitive != (f.Name == "cookie") {
					t.Errorf("%s: sensitive is %t", f.Name, f.Sensitive)
				}
			}
			all = append(all, fmt.Sprintf("%d HEADERS %t %s", frame.StreamID, frame.StreamEnded(), strings.Join(lines, " ")))
		case *http2.DataFrame:
			all = append(all, fmt.Sprintf("%d DATA %t %s", frame.StreamID, frame.StreamEnded(), frame.Data()))
		case *http2.RSTStreamFrame:
			all = append(all, fmt.Sprintf("%d RST %s", frame.StreamID, frame.ErrCode))
		case *http2.WindowUpdateFrame:
			all = append(all, fmt.Sprintf("%d WINDOW %d", frame.StreamID, frame.Increment))
		case *http2.PingFrame:
			all = append(all, fmt.Sprintf("PING %t %q", frame.IsAck(), frame.Data))
		default:
			all = append(all, frame.Header().Type.String())
		}
	}
}

// request is what all requests have in common: their fields come from the table, but for the first.
func (p *peer) request(t testing.TB, id uint32, end bool, path string) {
	t.Helper()
	p.headers(t, id, end, ":method=GET", ":scheme=https", ":authority=example.com", ":path="+path, "x-long="+strings.Repeat("v", 200), "cookie=secret")
}

// conversation has one of three requests dropped.
func conversation(t testing.TB) []byte {
	t.Helper()
	p := newPeer()
	must(t, p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}))
	must(t, p.WriteWindowUpdate(0, 1<<20))
	p.request(t, 1, false, "/1")
	must(t, p.WriteData(1, false, []byte("one")))
	p.request(t, 3, false, "/3")
	must(t, p.WriteData(3, false, []byte("secret")))
	must(t, p.WriteData(1, true, []byte("more")))
	must(t, p.WriteDataPadded(3, true, []byte("secret"), []byte{0, 0}))
	p.request(t, 5, true, "/5")
	must(t, p.WriteRSTStream(3, http2.ErrCodeCancel))
	must(t, p.WritePing(false, [8]byte{1}))
	must(t, p.WritePing(true, [8]byte{'v', 't', 'r', 'n', 0, 0, 0, 3}))
	p.request(t, 7, false, "/7")
	p.headers(t, 7, true, "grpc-status=0")
	return append([]byte(preface), p.Bytes()...)
}

func cut(b []byte, random *rand.Rand, most int) (all [][]byte) {
	for len(b) > 0 {
		n := min(1+random.IntN(most), len(b))
		all = append(all, b[:n])
		b = b[n:]
	}
	return all
}

const common = ":method=GET :scheme=https :authority=example.com :path="

func TestDroppedStream(t *testing.T) {
	want := []string{
		"SETTINGS", "0 WINDOW 1048576", "1 HEADERS false " + common + "/1" + fields, "1 DATA false one", "1 DATA true more",
		"5 HEADERS true " + common + "/5" + fields, `PING false "\x01\x00\x00\x00\x00\x00\x00\x00"`,
		"7 HEADERS false " + common + "/7" + fields, "7 HEADERS true grpc-status=0",
	}
	sent := conversation(t)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 100 {
		server := NewServer()
		c := NewClient(server, verdicts{3: flow.Drop})
		var got bytes.Buffer
		for _, piece := range cut(sent, random, 1<<(i%12)) {
			out, err := c.Edit(piece)
			must(t, err)
			got.Write(out)
		}
		if c.Held() != 0 {
			t.Errorf("%d bytes held", c.Held())
		}
		if lines := read(t, bytes.TrimPrefix(got.Bytes(), []byte(preface))); !slices.Equal(lines, want) {
			t.Fatalf("forwarded\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestNothingDropped passes every byte as it is, as soon as it may.
func TestNothingDropped(t *testing.T) {
	sent := conversation(t)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 50 {
		c := NewClient(NewServer(), verdicts{})
		var got []byte
		for _, piece := range cut(sent, random, 1<<(i%12)) {
			out, err := c.Edit(piece)
			must(t, err)
			got = append(got, out...)
		}
		if !bytes.Equal(got, sent) {
			t.Fatal("bytes have changed")
		}
	}
}

// TestAnswer looks at what the client is told, wherever the server's bytes are cut.
func TestAnswer(t *testing.T) {
	p := newPeer()
	must(t, p.WriteSettings())
	p.headers(t, 1, false, ":status=200", "server=x")
	must(t, p.WriteData(1, true, []byte("fine")))
	p.headers(t, 5, true, ":status=204", "server=x")
	sent := slices.Clone(p.Bytes())
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 100 {
		server := NewServer()
		c := NewClient(server, verdicts{3: flow.Drop})
		pieces := cut(sent, random, 1<<(i%8))
		ask := random.IntN(len(pieces))
		var said, heard []byte
		for j, piece := range pieces {
			if j == ask {
				_, err := c.Edit(conversation(t))
				must(t, err)
			}
			said = append(said, server.Edit(piece, func(b []byte) { heard = append(heard, b...) })...)
		}
		said = append(said, server.Edit(nil, func(b []byte) { heard = append(heard, b...) })...)
		if !bytes.Equal(said, heard) {
			t.Fatal("what is told and what the client is sent differ")
		}
		lines := read(t, said)
		var without []string
		for _, l := range lines {
			if !strings.HasPrefix(l, "3 ") && !strings.HasPrefix(l, "0 WINDOW") && !strings.HasPrefix(l, "PING") {
				without = append(without, l)
			}
		}
		if want := []string{"SETTINGS", "1 HEADERS false :status=200 server=x", "1 DATA true fine", "5 HEADERS true :status=204 server=x"}; !slices.Equal(without, want) {
			t.Fatalf("of the server: %q", without)
		}
		at := slices.Index(lines, "3 HEADERS false :status=403 content-type=text/plain")
		if at < 1 || lines[at+1] != "3 DATA true blocked 3" || !slices.Contains(lines, "0 WINDOW 15") || !slices.Contains(lines, `PING false "vtrn\x00\x00\x00\x03"`) {
			t.Fatalf("the client is told %q", lines)
		}
	}
}

// TestWindow checks that answers do not take from what the server may send: the client's updates are short of what they used.
func TestWindow(t *testing.T) {
	s := NewServer()
	s.answer(1, [][2]string{{":status", "403"}}, []byte("0123456789"))
	if s.debt != 10 || s.window != 65_525 {
		t.Errorf("debt %d, window %d", s.debt, s.window)
	}
	if got := s.widen(nil, nil, 4); len(got) > 0 || s.debt != 6 {
		t.Errorf("forwarded %x, debt %d", got, s.debt)
	}
	if got := read(t, s.widen(nil, nil, 100)); len(got) != 1 || got[0] != "0 WINDOW 94" {
		t.Errorf("forwarded %q", got)
	}
	s.window, s.pending = 100, nil
	s.answer(3, [][2]string{{":status", "403"}}, []byte("0123456789"))
	if got := read(t, s.pending); len(got) != 1 || got[0] != "3 HEADERS true :status=403" {
		t.Errorf("where the client takes little: %q", got)
	}
}

// TestHold keeps everything from a request on that is not judged yet.
func TestHold(t *testing.T) {
	sent := conversation(t)
	for _, then := range []flow.Verdict{flow.Pass, flow.Drop} {
		v := verdicts{3: flow.Hold}
		c := NewClient(NewServer(), v)
		first, err := c.Edit(sent)
		must(t, err)
		if lines := read(t, first[len(preface):]); len(lines) != 4 || c.Held() != len(sent)-len(first) {
			t.Errorf("while it is held: %q, %d bytes", lines, c.Held())
		}
		got := slices.Clone(first)
		v[3] = then
		rest, err := c.Edit(nil)
		must(t, err)
		got = append(got, rest...)
		if then == flow.Pass && !bytes.Equal(got, sent) {
			t.Error("once it passes, bytes have changed")
		}
		if then == flow.Drop && slices.ContainsFunc(read(t, got[len(preface):]), func(l string) bool { return strings.HasPrefix(l, "3 ") }) || c.Held() > 0 {
			t.Errorf("%d bytes are still held, forwarded %q", c.Held(), got)
		}
	}
}

// TestCut ends a stream that the server knows.
func TestCut(t *testing.T) {
	p := newPeer()
	p.request(t, 1, false, "/1")
	must(t, p.WriteData(1, false, []byte("one")))
	begin := append([]byte(preface), p.Bytes()...)
	v := verdicts{}
	server := NewServer()
	c := NewClient(server, v)
	_, err := c.Edit(begin)
	must(t, err)
	p.Reset()
	must(t, p.WriteData(1, false, []byte("two")))
	must(t, p.WritePing(false, [8]byte{}))
	v[1] = flow.Drop
	out, err := c.Edit(p.Bytes())
	must(t, err)
	if got := read(t, out); len(got) != 2 || got[0] != "1 RST CANCEL" || !strings.HasPrefix(got[1], "PING") {
		t.Errorf("forwarded %q", got)
	}
	if got := read(t, server.pending); len(got) != 2 || got[0] != "1 RST CANCEL" || got[1] != "0 WINDOW 3" {
		t.Errorf("the client is told %q", got)
	}
}

// TestManyDropped remembers no more of a connection than what is open in it, however much of it was dropped: at once, or once the server had
// begun to read; and it forwards nothing of a stream that it has forgotten.
func TestManyDropped(t *testing.T) {
	v := verdicts{}
	server := NewServer()
	c := NewClient(server, v)
	say := func(b []byte) []byte {
		t.Helper()
		out, err := c.Edit(b)
		must(t, err)
		return out
	}
	say([]byte(preface))
	client, origin := newPeer(), newPeer()
	must(t, origin.WriteSettings())
	server.Edit(origin.Bytes(), func([]byte) {})
	for id := uint32(1); id < 4*maxOpen; id += 2 {
		client.Reset()
		origin.Reset()
		answered, late := id > 1 && id%4 == 1, id%12 == 3
		if v[id] = flow.Drop; answered || late {
			v[id] = flow.Pass
		}
		client.request(t, id, id%3 == 0 && !late, "/x")
		say(client.Bytes())
		client.Reset()
		if answered {
			origin.headers(t, id, true, ":status=200")
			server.Edit(origin.Bytes(), func([]byte) {})
		}
		if late {
			v[id] = flow.Drop
		}
		must(t, client.WriteData(id, true, []byte("more")))
		must(t, client.WritePing(true, [8]byte{'v', 't', 'r', 'n', byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}))
		out := say(client.Bytes())
		if told := server.Edit(nil, func([]byte) {}); !answered && len(told) == 0 {
			t.Fatalf("the client was told nothing of %d", id)
		}
		client.Reset()
		must(t, client.WriteData(id, true, []byte("secret")))
		must(t, client.WriteWindowUpdate(id, 1))
		if out = append(slices.Clone(out), say(client.Bytes())...); bytes.Contains(out, []byte("secret")) || !answered && bytes.Contains(out, []byte("more")) {
			t.Fatalf("of %d was forwarded %q", id, out)
		}
	}
	if len(c.open)+len(c.pinged) > 0 {
		t.Errorf("%d streams are open, %d PINGs not answered", len(c.open), len(c.pinged))
	}
}

// TestRefused are bytes after which nobody can tell what a server would make of the rest.
func TestRefused(t *testing.T) {
	header := func(n int, typ, flags byte, id uint32, payload string) string {
		return string(frame{n, typ, flags, id}.append(nil)) + payload
	}
	for name, b := range map[string]string{
		"preface":              "PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n",
		"interrupted block":    preface + header(1, headers, 0, 1, "\x82") + header(8, ping, 0, 0, "12345678"),
		"foreign piece":        preface + header(1, headers, 0, 1, "\x82") + header(1, continuation, endHeaders, 3, "\x82"),
		"piece of nothing":     preface + header(1, continuation, endHeaders, 1, "\x82"),
		"unreadable block":     preface + header(1, headers, endHeaders, 1, "\xff"),
		"padding":              preface + header(2, headers, endHeaders|padded, 1, "\x09\x82"),
		"server's stream":      preface + header(1, headers, endHeaders, 2, "\x82"),
		"push":                 preface + header(4, push, endHeaders, 1, "\x00\x00\x00\x02"),
		"data of no stream":    preface + header(1, data, 0, 1, "x"),
		"endless block":        preface + header(maxBlock+1, headers, 0, 1, ""),
		"long control":         preface + header(maxControl+1, settings, 0, 0, ""),
		"references to much":   preface + header(4096+4, headers, 0, 1, "\x40\x01a\x7f\xa1\x1e"+strings.Repeat("v", 4000)+strings.Repeat("\xbe", 94)) + header(200, continuation, endHeaders, 1, strings.Repeat("\xbe", 200)),
		"settings of a stream": preface + header(0, settings, 0, 1, ""),
		"end of no stream":     preface + header(4, resetStream, 0, 1, "\x00\x00\x00\x08"),
		"window of odd length": preface + header(3, window, 0, 0, "123"),
	} {
		if out, err := NewClient(NewServer(), verdicts{}).Edit([]byte(b)); err == nil {
			t.Errorf("%s: forwarded %q", name, out)
		}
	}
}

// FuzzClient checks that nothing that is dropped is forwarded, nor what must not follow a stream's end, and that what is not stays as it is.
func FuzzClient(f *testing.F) {
	f.Add(conversation(f), uint16(7), uint8(2))
	f.Add([]byte("00000\xda000"), uint16(5), uint8(0)) // a reserved bit is set
	f.Add(slices.Concat(conversation(f), frame{1, data, endStream, 5}.append(nil), []byte("x"), frame{1, 0xb0, 0, 7}.append(nil), []byte("x")), uint16(7), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, piece uint16, drop uint8) {
		if !bytes.HasPrefix(b, []byte(preface)) {
			b = append([]byte(preface), b...)
		}
		v := verdicts{}
		if drop > 0 {
			v[uint32(drop)] = flow.Drop
		}
		server := NewServer()
		c := NewClient(server, v)
		var got []byte
		for rest := b; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			out, err := c.Edit(rest[:n])
			if err != nil {
				break
			}
			got = append(got, out...)
			rest = rest[n:]
		}
		if drop == 0 && !c.table.anew && !c.strict && !bytes.HasPrefix(b, got) && server.debt == 0 {
			t.Errorf("nothing is dropped, but bytes have changed")
		}
		if c.Held() > maxBlock+maxControl+2*headerSize+len(b) {
			t.Errorf("%d bytes are held", c.Held())
		}
		ended := map[uint32]bool{}
		for at := len(preface); at+headerSize <= len(got); {
			h := frameOf(got[at:])
			if drop%2 == 1 && h.stream == uint32(drop) && h.typ == data {
				t.Errorf("DATA of a dropped stream")
			}
			if ended[h.stream] && (h.typ == data || h.typ == headers || h.typ > continuation) {
				t.Errorf("%+v behind the end of its stream", h)
			}
			if (h.typ == data || h.typ == headers) && h.has(endStream) || h.typ == resetStream && h.stream%2 == 1 {
				ended[h.stream] = true
			}
			at += headerSize + h.length
		}
	})
}

// FuzzServer checks that the server's bytes stay as they are, in their order.
func FuzzServer(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x01x"), uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, piece uint16) {
		s := NewServer()
		var got []byte
		added := 0
		for rest := b; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			s.ping(1)
			before := len(s.pending)
			out := s.Edit(rest[:n], func([]byte) {})
			if len(s.pending) == 0 {
				added += before
			}
			got = append(got, out...)
			rest = rest[n:]
		}
		if len(got) != len(b)+added {
			t.Errorf("%d bytes became %d, %d were added", len(b), len(got), added)
		}
	})
}
