package decrypt_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// peer is a running openssl s_client or s_server.
type peer struct {
	stdin io.WriteCloser
	mu    sync.Mutex
	said  bytes.Buffer // standard output and error
	done  chan struct{}
}

func (p *peer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}

func (p *peer) printed(s string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(p.said.String(), s)
}

func startOpenSSL(t *testing.T, args ...string) *peer {
	t.Helper()
	path := testkit.Need(t, "openssl")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	p := &peer{done: make(chan struct{})}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = p, p
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stdin.Close()
		cancel()
		<-p.done
	})
	return p
}

// until waits for a condition.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

// opensslServer is one s_server behind a proxy that records.
type opensslServer struct {
	t        *testing.T
	peer     *peer
	dir      string
	address  string
	listener net.Listener
}

func newOpenSSLServer(t *testing.T, args ...string) *opensslServer {
	t.Helper()
	dir := t.TempDir()
	writeRSACertificate(t, filepath.Join(dir, "cert.pem"))
	s := &opensslServer{t: t, dir: dir, address: freeAddress(t)}
	s.peer = startOpenSSL(t, append([]string{"s_server", "-accept", s.address, "-cert", filepath.Join(dir, "cert.pem"), "-psk", psk}, args...)...)
	until(t, "the server", func() bool { return s.peer.printed("ACCEPT") })
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.listener.Close() })
	return s
}

const psk = "ca19e028a8a372ad2d325f950fcaceed00112233445566778899aabbccddeeff"

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func writeRSACertificate(t *testing.T, path string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "openssl.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// step is something that one side says, or a command to it.
type step struct {
	dir     flow.Direction
	text    string
	command bool // text is a letter that s_client or s_server acts upon
}

var lines atomic.Int64

// talk runs one connection of s_client through the proxy.
func (s *opensslServer) talk(clientArgs []string, steps ...step) *recording {
	s.t.Helper()
	rec := &recording{}
	keys := filepath.Join(s.dir, fmt.Sprintf("keys-%d", time.Now().UnixNano()))
	forwarded := make(chan struct{})
	go func() {
		defer close(forwarded)
		s.proxy(rec)
	}()
	client := startOpenSSL(s.t, append([]string{"s_client", "-connect", s.listener.Addr().String(), "-keylogfile", keys,
		"-servername", "openssl.example"}, clientArgs...)...)
	until(s.t, "the handshake", func() bool { return client.printed("---\nSSL handshake has read") })
	peers := [2]*peer{client, s.peer} // by the direction in which they speak
	for _, st := range steps {
		speaker := peers[st.dir]
		if st.command {
			before := rec.length()
			fmt.Fprintln(speaker.stdin, st.text)
			until(s.t, "the effect of "+st.text, func() bool { return rec.length() > before })
			time.Sleep(50 * time.Millisecond) // the answers, if there are any
			continue
		}
		// The server lives longer than the connection: no line may occur twice.
		line := fmt.Sprintf("%s-%d\n", st.text, lines.Add(1))
		io.WriteString(speaker.stdin, line)
		until(s.t, "the line to arrive", func() bool { return peers[st.dir.Reverse()].printed(line) })
		rec.said[st.dir] = append(rec.said[st.dir], line...)
	}
	fmt.Fprintln(client.stdin, "Q")
	<-client.done
	<-forwarded
	text, err := os.ReadFile(keys)
	if err != nil {
		s.t.Fatal(err)
	}
	rec.Write(text)
	return rec
}

func (r *recording) length() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.chunks)
}

func (s *opensslServer) proxy(rec *recording) {
	client, err := s.listener.Accept()
	if err != nil {
		return
	}
	server, err := net.Dial("tcp", s.address)
	if err != nil {
		client.Close()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { forward(rec, flow.ToServer, client, server) })
	both.Go(func() { forward(rec, flow.ToClient, server, client) })
	both.Wait()
	client.Close()
	server.Close()
}

func forward(rec *recording, dir flow.Direction, from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			rec.add(dir, buf[:n])
			to.Write(buf[:n])
		}
		if err != nil {
			to.(*net.TCPConn).CloseWrite()
			return
		}
	}
}

var smallTalk = []step{{flow.ToServer, "hello", false}, {flow.ToClient, "welcome", false}, {flow.ToServer, "goodbye", false}}

func (s *opensslServer) check(clientArgs []string, steps ...step) flow.TLS {
	s.t.Helper()
	rec := s.talk(clientArgs, steps...)
	session, h := replay(storeOf(rec.keys.Bytes()), rec.chunks)
	mustHear(s.t, rec, session, h)
	facts, _ := session.Facts()
	return facts
}

func TestOpenSSLSuites(t *testing.T) {
	server := newOpenSSLServer(t, "-cipher", "ALL:@SECLEVEL=0")
	for _, suite := range []string{
		"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305", "DHE-RSA-AES128-GCM-SHA256",
		"DHE-RSA-CHACHA20-POLY1305", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "PSK-AES128-GCM-SHA256", "PSK-AES256-GCM-SHA384",
		"PSK-CHACHA20-POLY1305", "DHE-PSK-AES128-GCM-SHA256", "ECDHE-PSK-CHACHA20-POLY1305", "RSA-PSK-AES256-GCM-SHA384",
	} {
		t.Run(suite, func(t *testing.T) {
			server.t = t
			facts := server.check([]string{"-tls1_2", "-cipher", suite + ":@SECLEVEL=0", "-psk", psk}, smallTalk...)
			if facts.Version != "TLS 1.2" || facts.SNI != "openssl.example" {
				t.Errorf("got %+v", facts)
			}
		})
	}
	for _, suite := range []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"} {
		t.Run(suite, func(t *testing.T) {
			server.t = t
			facts := server.check([]string{"-tls1_3", "-ciphersuites", suite}, smallTalk...)
			if facts.Version != "TLS 1.3" || facts.Cipher != suite || facts.Certificate.Subject != "CN=openssl.example" {
				t.Errorf("got %+v", facts)
			}
		})
	}
}

var keyUpdates = []step{
	{flow.ToServer, "first", false}, {flow.ToServer, "k", true}, {flow.ToServer, "hello", false},
	{flow.ToServer, "K", true}, {flow.ToClient, "welcome", false}, {flow.ToServer, "hello again", false},
	{flow.ToClient, "K", true}, {flow.ToClient, "once more", false}, {flow.ToServer, "goodbye", false},
}

func TestOpenSSLKeyUpdates(t *testing.T) {
	newOpenSSLServer(t).check([]string{"-tls1_3"}, keyUpdates...)
	newOpenSSLServer(t, "-record_padding", "512").check([]string{"-tls1_3", "-record_padding", "256"}, keyUpdates...)
}

// TestOpenSSLKeyUpdateLost loses each record after the handshake: even where it was the KeyUpdate, what follows opens.
func TestOpenSSLKeyUpdateLost(t *testing.T) {
	rec := newOpenSSLServer(t).talk([]string{"-tls1_3"}, keyUpdates...)
	keys := storeOf(rec.keys.Bytes())
	whole := records(t, rec.chunks)
	longest := len("hello again-0000\n")
	for lost := range whole {
		h := &heard{}
		s := newWorker(keys).NewSession(h)
		for i, c := range whole {
			if i == lost {
				s.Gap(c.dir, c.at, len(c.b))
			} else {
				s.Data(c.dir, c.at, c.b)
			}
		}
		s.Close(time.Time{})
		for dir := range h.plain {
			if missing := len(rec.said[dir]) - len(h.plain[dir]); whole[lost].b[0] == 23 && missing > longest {
				t.Errorf("record %d lost: %d bytes of %v are missing", lost, missing, flow.Direction(dir))
			}
		}
	}
}

func TestOpenSSLRenegotiation(t *testing.T) {
	server := newOpenSSLServer(t, "-client_renegotiation", "-no_resumption_on_reneg")
	for _, suite := range []string{"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"} {
		t.Run(suite, func(t *testing.T) {
			server.t = t
			server.check([]string{"-tls1_2", "-cipher", suite}, step{flow.ToServer, "hello", false}, step{flow.ToServer, "R", true},
				step{flow.ToServer, "hello again", false}, step{flow.ToClient, "welcome", false}, step{flow.ToServer, "goodbye", false})
		})
	}
}

func TestOpenSSLHelloRetryRequest(t *testing.T) {
	newOpenSSLServer(t, "-groups", "P-384").check([]string{"-tls1_3", "-groups", "X25519:P-384"}, smallTalk...)
}

func TestOpenSSLResumption(t *testing.T) {
	for name, c := range map[string]struct{ server, client []string }{
		"TLS 1.2 session id": {[]string{"-no_ticket"}, []string{"-tls1_2", "-no_ticket"}},
		"TLS 1.2 ticket":     {nil, []string{"-tls1_2"}},
		"TLS 1.3":            {nil, []string{"-tls1_3"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := newOpenSSLServer(t, c.server...)
			session := filepath.Join(server.dir, "session.pem")
			if facts := server.check(append(c.client, "-sess_out", session), smallTalk...); facts.Resumed {
				t.Error("the first is resumed")
			}
			if facts := server.check(append(c.client, "-sess_in", session), smallTalk...); !facts.Resumed {
				t.Error("the second is not resumed")
			}
		})
	}
}

func TestOpenSSLEarlyData(t *testing.T) {
	for name, c := range map[string]struct {
		server   []string
		accepted bool
	}{
		"accepted":               {[]string{"-early_data"}, true},
		"rejected, key accepted": {[]string{"-max_early_data", "4096"}, false},
		"rejected with a retry":  {[]string{"-max_early_data", "4096", "-groups", "P-384"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := newOpenSSLServer(t, c.server...)
			session, early := filepath.Join(server.dir, "session.pem"), filepath.Join(server.dir, "early")
			groups := []string{"-tls1_3", "-groups", "X25519:P-384"}
			server.check(append(groups, "-sess_out", session), smallTalk...)
			if err := os.WriteFile(early, []byte("in a hurry\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			rec := server.talk(append(groups, "-sess_in", session, "-early_data", early), smallTalk...)
			late := rec.said[flow.ToServer]
			if c.accepted {
				rec.said[flow.ToServer] = append([]byte("in a hurry\n"), late...)
			}
			keys := storeOf(rec.keys.Bytes())
			s, h := replay(keys, rec.chunks)
			mustHear(t, rec, s, h)

			rec.said[flow.ToServer] = late
			s, h = replay(storeOf(withoutLabel(rec, "EARLY")), rec.chunks)
			_, d := s.Facts()
			if c.accepted {
				if d != (flow.Decryption{State: flow.DecryptedPartial, Source: flow.FromKeys, Reason: flow.NoKey}) || h.bytes[flow.ToServer] != len("in a hurry\n") {
					t.Errorf("without the early secret: got %+v, %d bytes lost", d, h.bytes[flow.ToServer])
				}
				if !bytes.Equal(h.plain[flow.ToServer], late) {
					t.Errorf("without the early secret: heard %q", h.plain[flow.ToServer])
				}
			} else {
				mustHear(t, rec, s, h)
			}
		})
	}
}

// TestOpenSSLEarlyDataLost loses each record of a connection with early data: only one of which all was heard is decrypted.
func TestOpenSSLEarlyDataLost(t *testing.T) {
	server := newOpenSSLServer(t, "-early_data")
	session, early := filepath.Join(server.dir, "session.pem"), filepath.Join(server.dir, "early")
	server.check([]string{"-tls1_3", "-sess_out", session}, smallTalk...)
	if err := os.WriteFile(early, []byte("in a hurry\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rec := server.talk([]string{"-tls1_3", "-sess_in", session, "-early_data", early}, smallTalk...)
	rec.said[flow.ToServer] = append([]byte("in a hurry\n"), rec.said[flow.ToServer]...)
	withoutEarly := withoutLabel(rec, "EARLY")
	whole := records(t, rec.chunks)
	for lost := range whole {
		for name, keys := range map[string][]byte{"all keys": rec.keys.Bytes(), "no early key": withoutEarly} {
			h := &heard{}
			s := newWorker(storeOf(keys)).NewSession(h)
			for i, c := range whole {
				if i == lost {
					s.Gap(c.dir, c.at, len(c.b))
				} else {
					s.Data(c.dir, c.at, c.b)
				}
			}
			s.Close(time.Time{})
			all := bytes.Equal(h.plain[0], rec.said[0]) && bytes.Equal(h.plain[1], rec.said[1])
			if _, d := s.Facts(); d.State == flow.DecryptedYes && !all {
				t.Errorf("record %d lost, %s: decrypted, but heard %q, %q", lost, name, h.plain[0], h.plain[1])
			}
			if missing := len(rec.said[0]) - len(h.plain[0]); whole[lost].b[0] == 23 && missing > len("in a hurry\n")+len("goodbye-0000\n") {
				t.Errorf("record %d lost, %s: %d bytes are missing", lost, name, missing)
			}
		}
	}
}

// withoutLabel returns the key log without the lines in whose label there is a word.
func withoutLabel(rec *recording, word string) []byte {
	var lines []byte
	for line := range strings.Lines(rec.keys.String()) {
		if !strings.Contains(line, word) {
			lines = append(lines, line...)
		}
	}
	return lines
}
