// Package all lists the protocols that Vitrine knows: a closed set, in the order in which they are tried. It exists because
// package parse cannot import its own protocols.
package all

import (
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/dns"
	"github.com/vitrine-ndr/vitrine/parse/ftp"
	"github.com/vitrine-ndr/vitrine/parse/http1"
	"github.com/vitrine-ndr/vitrine/parse/http2"
	"github.com/vitrine-ndr/vitrine/parse/smtp"
	"github.com/vitrine-ndr/vitrine/parse/tls"
	"github.com/vitrine-ndr/vitrine/parse/unknown"
	"github.com/vitrine-ndr/vitrine/parse/websocket"
)

// Protocols are tried in this order: those that know themselves by their first bytes come first.
var Protocols = []parse.Protocol{http2.Protocol, http1.Protocol, tls.Protocol, smtp.Protocol, ftp.Protocol, dns.UDP, dns.TCP, websocket.Protocol, ftp.Data}

// Unknown follows a stream that none of Protocols recognises.
var Unknown = unknown.Protocol
