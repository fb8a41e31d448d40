package inspect

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/vitrine-ndr/vitrine/flow"
)

// TestUneditedHeaders ends a connection whose client has another header table than its server, since an announcement was taken out, at a
// block that takes too much memory to be written anew. Before an announcement, that block passes as it is.
func TestUneditedHeaders(t *testing.T) {
	long := "\x88\x40\x01a\x7f\xa1\x1e" + strings.Repeat("v", 4000) + strings.Repeat("\xbe", 94) // one line of 4,000 bytes, and 94 times the same
	for name, announced := range map[string]bool{"nothing announced": false, "announced": true} {
		t.Run(name, func(t *testing.T) {
			c := newConversation(t, lineRules, nil)
			conn := c.Editor.(*stream).conn
			conn.RefusesQUIC, conn.TLS = true, &flow.TLS{ALPN: "h2"}
			client, server := newClient2(), &client2{}
			server.Framer = http2.NewFramer(&server.text, nil)
			answer := func(id uint32, block string) {
				_ = server.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block), EndStream: true, EndHeaders: true})
			}
			for id := range uint32(3) {
				client.ask(2*id+1, true, "GET", "/a")
			}
			c.say(flow.ToServer, client.text.String())
			_ = server.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100})
			if announced {
				answer(1, "\x88\x00\x07alt-svc\x0ah3=\":443\";")
			}
			c.say(flow.ToClient, server.text.String())
			before := c.forwarded[flow.ToClient].String()
			server.text.Reset()
			answer(3, long+strings.Repeat("\xbe", 200))
			answer(5, "\x88\xbe")
			c.say(flow.ToClient, server.text.String())
			if c.drop != announced || strings.Contains(before, "443") {
				t.Errorf("the connection has ended: %t; forwarded %q", c.drop, before)
			}
			after := c.forwarded[flow.ToClient].String()[len(before):]
			if want := server.text.String(); announced && after != "" || !announced && after != want {
				t.Errorf("behind it, %d of %d bytes are forwarded", len(after), len(want))
			}
			c.Close(time.UnixMilli(3))
			told := false
			for _, r := range c.records {
				told = told || r.Anomaly != nil && r.Anomaly.Code == unedited
			}
			if told != announced {
				t.Errorf("the anomaly is told: %t", told)
			}
		})
	}
}
