package websocket

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/http1"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

// echo accepts a connection and sends back what it receives.
func echo(mode websocket.CompressionMode) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: mode})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	}
}

// TestRealPeers compares the messages that the parser saw with those that a real client and server exchanged.
func TestRealPeers(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	text := strings.Repeat("a message that is much like the one before it; ", 40)
	messages := []string{"short", text, text, "", strings.Repeat(text, 100), string(noise), text + "!", "last"}
	for name, mode := range map[string]websocket.CompressionMode{
		"plain":       websocket.CompressionDisabled,
		"takeover":    websocket.CompressionContextTakeover,
		"no takeover": websocket.CompressionNoContextTakeover,
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for _, m := range messages {
				want = append(want, line("to_server", "binary", m), line("to_client", "binary", m))
			}
			want = append(want, line("to_server", "close", "bye"), line("to_client", "close", "bye"))
			got, compressed := messagesOf(t, talk(t, mode, messages))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("messages differ (-want +got):\n%s", diff)
			}
			if (compressed > 0) != (mode != websocket.CompressionDisabled) {
				t.Errorf("%d messages were compressed", compressed)
			}
		})
	}
}

// talk sends the messages, each after the echo of the one before, and returns the conversation.
func talk(t *testing.T, mode websocket.CompressionMode, messages []string) []parsetest.Step {
	t.Helper()
	server := httptest.NewServer(echo(mode))
	defer server.Close()
	recorder := new(parsetest.Recorder)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return recorder.Conn(conn), nil
	}}}
	ctx := t.Context()
	c, _, err := websocket.Dial(ctx, server.URL+"/chat", &websocket.DialOptions{HTTPClient: client, CompressionMode: mode})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	for _, m := range messages {
		if err := c.Write(ctx, websocket.MessageBinary, []byte(m)); err != nil {
			t.Fatal(err)
		}
		if _, b, err := c.Read(ctx); err != nil || string(b) != m {
			t.Fatalf("echo of %d bytes is %d bytes: %v", len(m), len(b), err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Fatal(err)
	}
	return recorder.Conversations()[0]
}

// messagesOf returns the messages of a conversation as lines, and how many were compressed.
func messagesOf(t *testing.T, steps []parsetest.Step) (lines []string, compressed int) {
	t.Helper()
	for _, b := range parsetest.Bodies(t, steps, http1.Protocol, Protocol) {
		switch m := b.(type) {
		case *event.WebSocket:
			lines = append(lines, fmt.Sprintf("%s %s %d %.80q", m.Direction, m.Opcode, m.Size, m.Body))
			if m.State != event.Complete || m.URL != "/chat" {
				t.Errorf("message %d is %s, of %q", m.Tx, m.State, m.URL)
			}
			if m.Encoding != "" {
				compressed++
			}
		case *event.Anomaly:
			t.Errorf("anomaly %s", m.Code)
		}
	}
	return lines, compressed
}

func line(direction, opcode, body string) string {
	kept := body[:min(len(body), parse.DefaultLimits.Body)]
	return fmt.Sprintf("%s %s %d %.80q", direction, opcode, len(body), bytes.Clone([]byte(kept)))
}
