package gateway_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
	"github.com/vitrine-ndr/vitrine/source/sourcetest"
)

// TestContract has a client and a server hold the conversation through the gateway, over TLS and without.
func TestContract(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.3": tls.VersionTLS13, "TLS 1.2": tls.VersionTLS12, "no TLS": 0} {
		t.Run(name, func(t *testing.T) {
			sourcetest.Run(t, sourcetest.Streams(), func(t testing.TB, c sourcetest.Conversation) source.Source {
				return &conversation{t, c, version}
			})
		})
	}
}

// conversation is a gateway that sees one conversation.
type conversation struct {
	t       testing.TB
	script  sourcetest.Conversation
	version uint16 // of TLS; 0 for none
}

// Run takes the contract's sink and looks until the conversation is over.
func (c *conversation) Run(ctx context.Context, sink source.Sink) error {
	t := c.t
	ended := make(chan struct{})
	w := newWorld(t, options{rules: inspectAll(policy.Cases{}), sink: &watched{sink, ended}})
	shop := issue(t, w.public, newECDSA(t), forShop)
	l := listen(t)
	accepted := make(chan net.Conn, 1)
	go func() {
		if s, err := l.Accept(); err == nil {
			accepted <- s
		}
	}()
	client := w.connect(t, l.Addr().String())
	server := <-accepted
	if c.version != 0 {
		cfg := w.client()
		cfg.MaxVersion = c.version
		client, server = tls.Client(client, cfg), tls.Server(server, &tls.Config{Certificates: []tls.Certificate{shop.tls()}})
	}
	sourcetest.Perform(t, c.script, client, server)
	<-ended
	return nil
}
