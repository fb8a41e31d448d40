package frames

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// edit returns what becomes of what a client says, in random pieces.
func edit(t testing.TB, c *Client, p *peer, random *rand.Rand, most int) (got []byte) {
	t.Helper()
	for _, piece := range cut(p.Bytes(), random, most) {
		out, err := c.Edit(piece)
		must(t, err)
		got = append(got, out...)
	}
	p.Reset()
	return got
}

// told is what waits for the client, one line for all that it is given back.
func told(t testing.TB, s *Server) (all []string) {
	t.Helper()
	credit := 0
	for _, l := range read(t, s.pending) {
		n := 0
		if _, err := fmt.Sscanf(l, "0 WINDOW %d", &n); err != nil {
			all = append(all, l)
		}
		credit += n
	}
	if credit > 0 {
		all = append(all, fmt.Sprintf("0 WINDOW %d", credit))
	}
	return all
}

// behind tells of what was forwarded behind the frames of before, which begin with the preface.
func behind(t testing.TB, before, b []byte) []string {
	t.Helper()
	begin := before[len(preface):]
	return read(t, slices.Concat(begin, b))[len(read(t, begin)):]
}

var fields = " x-long=" + strings.Repeat("v", 200) + " cookie=secret"

// TestAfterEnd is about a stream that its client has ended, and that the server may still answer: of it is forwarded what RFC 9113, section
// 5.1, allows. Anything else ends it on both sides, and what the server will never count is given back to the client.
func TestAfterEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		say            func(p *peer)
		server, client []string // what they are told
	}{
		"DATA":          {func(p *peer) { must(t, p.WriteData(1, true, []byte("more"))) }, []string{"1 RST CANCEL"}, []string{"1 RST STREAM_CLOSED", "0 WINDOW 4"}},
		"empty DATA":    {func(p *peer) { must(t, p.WriteData(1, true, nil)) }, []string{"1 RST CANCEL"}, []string{"1 RST STREAM_CLOSED"}},
		"padded DATA":   {func(p *peer) { must(t, p.WriteDataPadded(1, false, []byte("more"), []byte{0, 0})) }, []string{"1 RST CANCEL"}, []string{"1 RST STREAM_CLOSED", "0 WINDOW 7"}},
		"HEADERS":       {func(p *peer) { p.headers(t, 1, true, "x-more=more") }, []string{"1 RST CANCEL"}, []string{"1 RST STREAM_CLOSED"}},
		"unknown frame": {func(p *peer) { must(t, p.WriteRawFrame(0xb0, 0, 1, []byte("more"))) }, nil, nil}, // to be ignored, by whoever reads it
		"WINDOW_UPDATE": {func(p *peer) { must(t, p.WriteWindowUpdate(1, 7)) }, []string{"1 WINDOW 7"}, nil},
		"PRIORITY":      {func(p *peer) { must(t, p.WritePriority(1, http2.PriorityParam{Weight: 7})) }, []string{"PRIORITY"}, nil},
		"RST_STREAM":    {func(p *peer) { must(t, p.WriteRSTStream(1, http2.ErrCodeInternal)) }, []string{"1 RST INTERNAL_ERROR"}, nil},
		"all of it twice": {func(p *peer) {
			for range 2 {
				must(t, p.WriteData(1, true, []byte("more")))
				p.headers(t, 1, true, "x-more=more")
				must(t, p.WriteWindowUpdate(1, 7))
				must(t, p.WriteRSTStream(1, http2.ErrCodeCancel))
			}
		}, []string{"1 RST CANCEL"}, []string{"1 RST STREAM_CLOSED", "0 WINDOW 8"}},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for i := range 30 {
				server, p := NewServer(), newPeer()
				c := NewClient(server, verdicts{})
				p.WriteString(preface)
				p.request(t, 1, false, "/1")
				must(t, p.WriteData(1, true, []byte("one")))
				before := edit(t, c, p, random, 1<<(i%10))
				tt.say(p)
				p.request(t, 3, true, "/3") // whose fields refer to what stream 1 has put into the table
				got := behind(t, before, edit(t, c, p, random, 1<<(i%10)))
				if want := append(slices.Clone(tt.server), "3 HEADERS true "+common+"/3"+fields); !slices.Equal(got, want) {
					t.Fatalf("forwarded %q, want %q", got, want)
				}
				if said := told(t, server); !slices.Equal(said, tt.client) {
					t.Fatalf("the client is told %q, want %q", said, tt.client)
				}
			}
		})
	}
}

// TestClosed forwards nothing of a stream that nobody waits for: what the client has sent before it knew is given back to it.
func TestClosed(t *testing.T) {
	open := func(p *peer, end bool) { p.request(t, 1, end, "/1") }
	for name, tt := range map[string]struct {
		client, server func(p *peer)
		id             uint32
	}{
		"reset by the client":   {func(p *peer) { open(p, false); must(t, p.WriteRSTStream(1, http2.ErrCodeCancel)) }, func(*peer) {}, 1},
		"reset by the server":   {func(p *peer) { open(p, false) }, func(p *peer) { must(t, p.WriteRSTStream(1, http2.ErrCodeNo)) }, 1},
		"ended by both":         {func(p *peer) { open(p, true) }, func(p *peer) { p.headers(t, 1, true, ":status=200") }, 1},
		"passed over":           {func(p *peer) { open(p, true); p.request(t, 5, true, "/5") }, func(*peer) {}, 3},
		"ended, server's first": {func(p *peer) { open(p, true) }, func(p *peer) { p.headers(t, 1, false, ":status=200"); must(t, p.WriteData(1, true, nil)) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for i := range 20 {
				server, p, q := NewServer(), newPeer(), newPeer()
				c := NewClient(server, verdicts{})
				p.WriteString(preface)
				tt.client(p)
				before := edit(t, c, p, random, 1<<(i%10))
				tt.server(q)
				server.Edit(q.Bytes(), func([]byte) {})
				must(t, p.WriteData(tt.id, false, []byte("more")))
				must(t, p.WriteRawFrame(0xb0, 0, tt.id, []byte("more")))
				must(t, p.WriteData(tt.id, true, []byte("more")))
				p.request(t, 7, true, "/7")
				if got := behind(t, before, edit(t, c, p, random, 1<<(i%10))); len(got) != 1 || got[0] != "7 HEADERS true "+common+"/7"+fields {
					t.Fatalf("forwarded %q", got)
				}
				if said := told(t, server); !slices.Equal(said, []string{"0 WINDOW 8"}) {
					t.Fatalf("the client is told %q", said)
				}
			}
		})
	}
}

// TestAnsweredEarly has a server that is done before its client: that may go on.
func TestAnsweredEarly(t *testing.T) {
	server, p, q := NewServer(), newPeer(), newPeer()
	c := NewClient(server, verdicts{})
	p.WriteString(preface)
	p.request(t, 1, false, "/1")
	random := rand.New(rand.NewPCG(1, 2))
	edit(t, c, p, random, 1<<10)
	q.headers(t, 1, true, ":status=200")
	server.Edit(q.Bytes(), func([]byte) {})
	must(t, p.WriteData(1, true, []byte("more")))
	if got := read(t, edit(t, c, p, random, 1)); len(got) != 1 || !strings.HasSuffix(got[0], "more") || len(server.pending) > 0 {
		t.Errorf("forwarded %q, the client is told %q", got, told(t, server))
	}
}
