package sourcetest

import (
	"bytes"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

// http2Steps is a request and its response in HTTP/2.
func http2Steps() []parsetest.Step {
	client, server := newFrames(), newFrames()
	client.WriteString(http2.ClientPreface)
	check(client.WriteSettings())
	client.headers(1, true, ":method", "GET", ":scheme", "https", ":authority", "shop.example", ":path", "/item?id=7", "user-agent", "test/2")
	check(server.WriteSettings())
	check(server.WriteSettingsAck())
	server.headers(1, false, ":status", "200", "content-type", "application/json")
	check(server.WriteData(1, true, []byte(`{"item":7}`)))
	return steps(toS, client.String(), toC, server.String())
}

// frames is one direction of an HTTP/2 connection.
type frames struct {
	bytes.Buffer
	*http2.Framer
	block bytes.Buffer
	hpack *hpack.Encoder
}

func newFrames() *frames {
	f := new(frames)
	f.Framer, f.hpack = http2.NewFramer(&f.Buffer, nil), hpack.NewEncoder(&f.block)
	return f
}

// headers writes pairs of name and value.
func (f *frames) headers(stream uint32, end bool, pairs ...string) {
	f.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		check(f.hpack.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}))
	}
	check(f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.block.Bytes(), EndStream: end, EndHeaders: true}))
}

// check is for writes to memory, which do not fail.
func check(err error) {
	if err != nil {
		panic(err)
	}
}
