package sourcetest

import (
	"io"
	"net"
	"testing"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Perform plays the conversation over two ends of a connection and closes them: for harnesses of vantage points that watch real
// sockets or real TLS.
func Perform(t testing.TB, c Conversation, client, server net.Conn) {
	t.Helper()
	for i, step := range c.Steps {
		from, to := client, server
		if step.Dir == flow.ToClient {
			from, to = server, client
		}
		sent := make(chan error, 1)
		go func() {
			_, err := from.Write(step.Data)
			sent <- err
		}()
		if _, err := io.ReadFull(to, make([]byte, len(step.Data))); err != nil {
			t.Fatalf("step %d: read: %v", i+1, err)
		}
		if err := <-sent; err != nil {
			t.Fatalf("step %d: write: %v", i+1, err)
		}
	}
	closed := make(chan struct{})
	go func() {
		client.Close()
		close(closed)
	}()
	io.Copy(io.Discard, server) // until the client's close has arrived
	server.Close()
	<-closed
}
