// Package sourcetest is the contract that every vantage point passes: the same conversation in, the same events out. It
// knows the conversations and the events; a vantage point's own test brings the way in which it sees them.
package sourcetest

import (
	"slices"
	"strings"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

// Conversation is a script for two programs: each step is written by one side once the steps before have arrived at the other.
type Conversation struct {
	Name  string
	Proto flow.Proto
	Steps []parsetest.Step
}

const (
	toS = flow.ToServer
	toC = flow.ToClient
)

// All returns a conversation in each protocol.
func All() []Conversation {
	return []Conversation{
		{"http1", flow.TCP, steps(
			toS, "POST /login?next=%2F HTTP/1.1\r\nHost: Shop.Example:8443\r\nUser-Agent: test/1\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{\"user\":\"ann\",\"pass\":\"x'y\"} ",
			toC, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<html\r\n8\r\n></html>\r\n0\r\n\r\n",
			toS, "GET /big HTTP/1.1\r\nHost: shop.example\r\n\r\n",
			toC, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("0123456789", 10_000),
		)},
		{"http2", flow.TCP, http2Steps()},
		{"websocket", flow.TCP, steps(
			toS, "GET /chat HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			toC, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
			toS, "\x81\x85\x01\x02\x03\x04igoh\x6e",
			toC, "\x81\x03bye\x88\x02\x03\xe8",
		)},
		{"dns", flow.UDP, steps(
			toS, "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04shop\x07example\x00\x00\x01\x00\x01",
			toC, "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x04shop\x07example\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x01",
		)},
		{"ftp", flow.TCP, steps(
			toC, "220-Welcome to\r\n220 ftp.example\r\n",
			toS, "USER ann\r\n", toC, "331 Password?\r\n", toS, "PASS xyzzy\r\n", toC, "230 Hello.\r\n",
			toS, "PWD\r\n", toC, "257 \"/home/ann\"\r\n", toS, "DELE a.txt\r\n", toC, "550 There is none.\r\n",
			toS, "EPSV\r\n", toC, "229 ok (|||2121|)\r\n", toS, "RETR b.txt\r\n", toC, "150 Here it comes (5 bytes).\r\n", toC, "226 Done.\r\n",
			toS, "QUIT\r\n", toC, "221 Goodbye.\r\n",
		)},
		{"smtp", flow.TCP, steps(
			toC, "220 mx.example ESMTP\r\n", toS, "EHLO client.example\r\n", toC, "250-mx.example\r\n250 AUTH PLAIN\r\n",
			toS, "AUTH PLAIN AGFubgBwYXNz\r\n", toC, "535 No.\r\n", toS, "AUTH PLAIN AGFubgB4eXp6eQ==\r\n", toC, "235 Hello.\r\n",
			toS, "MAIL FROM:<ann@client.example>\r\nRCPT TO:<bob@mx.example>\r\nRCPT TO:<eve@mx.example>\r\nDATA\r\n",
			toC, "250 ok\r\n250 ok\r\n550 Who?\r\n354 Go on.\r\n",
			toS, "From: Ann <ann@client.example>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n..Hi\r\n--b\r\n"+
				"Content-Disposition: attachment; filename=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"+strings.Repeat("MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\r\n", 2000)+"--b--\r\n.\r\n",
			toC, "250 Queued.\r\n", toS, "QUIT\r\n", toC, "221 Goodbye.\r\n",
		)},
		{"unknown", flow.TCP, steps(toS, "\x01\x02 no protocol\n", toC, "\x03 neither\n")},
	}
}

// Streams returns those that TLS can carry.
func Streams() []Conversation {
	return slices.DeleteFunc(All(), func(c Conversation) bool { return c.Proto != flow.TCP })
}

// steps makes a script of pairs of direction and text.
func steps(pairs ...any) []parsetest.Step {
	var s []parsetest.Step
	for i := 0; i < len(pairs); i += 2 {
		s = append(s, parsetest.Step{Dir: pairs[i].(flow.Direction), Data: []byte(pairs[i+1].(string)), At: i / 2})
	}
	return s
}
