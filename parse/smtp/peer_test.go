package smtp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	netsmtp "net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

// relay stands between clients and a server and remembers what they said.
type relay struct {
	address       string
	mu            sync.Mutex
	conversations [][]parsetest.Step
	running       sync.WaitGroup
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := &relay{address: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			r.join(c, s)
		}
	}()
	return r
}

// join copies both ways. What is sent on is remembered first: the answer can't come before it.
func (r *relay) join(client, server net.Conn) {
	r.mu.Lock()
	i := len(r.conversations)
	r.conversations = append(r.conversations, nil)
	r.mu.Unlock()
	r.running.Add(2)
	pipe := func(dir flow.Direction, from, to net.Conn) {
		defer r.running.Done()
		defer to.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := from.Read(b)
			if n > 0 {
				r.mu.Lock()
				r.conversations[i] = append(r.conversations[i], parsetest.Step{Dir: dir, Data: bytes.Clone(b[:n]), At: len(r.conversations[i])})
				r.mu.Unlock()
				if _, err := to.Write(b[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	go pipe(flow.ToServer, client, server)
	go pipe(flow.ToClient, server, client)
}

// events returns what the parser makes of all connections since the last call, and these.
func (r *relay) events(t *testing.T) (mails []*event.SMTP, files []*event.File, conversations [][]parsetest.Step) {
	t.Helper()
	r.running.Wait()
	r.mu.Lock()
	conversations, r.conversations = r.conversations, nil
	r.mu.Unlock()
	for _, steps := range conversations {
		for _, b := range parsetest.Bodies(t, steps, Protocol) {
			switch b := b.(type) {
			case *event.SMTP:
				mails = append(mails, b)
			case *event.File:
				files = append(files, b)
			case *event.Anomaly:
				t.Errorf("anomaly %s", b.Code)
			}
		}
	}
	return mails, files, conversations
}

// try runs a program that may fail, which is for the server to decide.
func try(t *testing.T, program string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), testkit.Need(t, program), args...).CombinedOutput()
	t.Logf("%s: %v\n%s", program, err, out)
}

// TestRealPeers lets several clients talk to Postfix and compares the events with what was given to the clients and with what tshark
// makes of the same bytes.
func TestRealPeers(t *testing.T) {
	t.Parallel()
	r := newRelay(t, startPostfix(t))
	host, port, _ := net.SplitHostPort(r.address)
	pdf := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("some \x00 content\r\n.\r\n"), 20_000)...)
	file := filepath.Join(t.TempDir(), "Übersicht.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	swaks := func(args ...string) {
		try(t, "swaks", append([]string{"--server", host, "--port", port, "--helo", "swaks.example", "--from", "alice@example.org"}, args...)...)
	}
	swaks("--to", "bob@example.com,nobody@example.com", "--header", "Subject: first", "--attach-type", "application/pdf", "--attach-name", "report.pdf", "--attach", "@"+file)
	swaks("--to", "bob@example.com", "--pipeline", "--header", "Subject: second", "--body", ".leading dot\n..\n.\nend\n")
	swaks("--to", "bob@example.com", "--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "wonderland", "--header", "Subject: third")
	swaks("--to", "bob@example.com", "--auth", "LOGIN", "--auth-user", "alice", "--auth-password", "queen")
	swaks("--to", "bob@example.com", "--quit-after", "RCPT")
	try(t, "curl", "-sS", "smtp://"+r.address+"/curl.example", "--mail-from", "carol@example.org", "--mail-rcpt", "dave@example.com", "--mail-rcpt", "nobody@example.com",
		"--mail-rcpt-allowfails", "-F", "=text of curl;type=text/plain", "-F", "file=@"+file+";encoder=base64", "-H", "Subject: =?utf-8?q?f=C3=BCnfte?=", "-H", "From: carol@example.org", "-H", "To: dave@example.com")
	goClient(t, r.address)

	mails, files, conversations := r.events(t)
	type said struct {
		From, User string
		Login      event.SMTPLogin
		Recipients []string
		Refused    int
		Code       uint16
		Subject    string
		Text       string
	}
	var got []said
	for _, m := range mails {
		s := said{From: m.MailFrom, User: m.User, Login: m.Login, Recipients: m.RcptTo, Refused: len(m.Refused), Code: m.Code}
		if m.Message != nil {
			s.Subject = m.Message.Subject
			s.Text, _, _ = strings.Cut(strings.TrimSpace(string(m.Message.Text.Body)), "\n")
		}
		got = append(got, s)
	}
	const test = "This is a test mailing"
	bob := []string{"bob@example.com"}
	want := []said{
		{"alice@example.org", "", "", []string{"bob@example.com", "nobody@example.com"}, 1, 250, "first", test},
		{"alice@example.org", "", "", bob, 0, 250, "second", ".leading dot\r"},
		{"alice@example.org", "alice", "accepted", bob, 0, 250, "third", test},
		{"", "alice", "refused", nil, 0, 535, "", ""},
		{"alice@example.org", "", "", bob, 0, 0, "", ""},
		{"carol@example.org", "", "", []string{"dave@example.com", "nobody@example.com"}, 1, 250, "fünfte", "text of curl"},
		{"erin@example.org", "", "", bob, 0, 250, "one", "1"},
		{"erin@example.org", "", "", []string{"nobody@example.com"}, 1, 554, "", ""},
		{"erin@example.org", "", "", bob, 0, 250, "two", ".."},
		{"erin@example.org", "", "", bob, 0, 250, "three", "."},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mails differ (-want +got):\n%s", diff)
	}
	sum := sha256.Sum256(pdf)
	for i, name := range []string{"report.pdf", "Übersicht.pdf"} {
		if len(files) != 2 || files[i].Name != name || files[i].Type != "application/pdf" || files[i].SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("files %+v", files)
		}
	}
	compareWithTshark(t, conversations)
	compareSTARTTLS(t, r)
}

// goClient sends three mails over one connection, the last in chunks, and tries a fourth in between.
func goClient(t *testing.T, address string) {
	t.Helper()
	c, err := netsmtp.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct{ to, body string }{
		{"bob@example.com", "Subject: one\r\n\r\n1\r\n"}, {"nobody@example.com", ""}, {"bob@example.com", "Subject: two\r\n\r\n..\r\n"},
	} {
		if err := c.Mail("erin@example.org"); err != nil {
			t.Fatal(err)
		}
		if c.Rcpt(m.to) != nil {
			_ = c.Reset()
			continue
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, m.body)
		_ = w.Close()
	}
	const chunk = "Subject: three\r\n\r\n.\r\n"
	for _, line := range []string{"MAIL FROM:<erin@example.org>", "RCPT TO:<bob@example.com>", "BDAT 8\r\n" + chunk[:8], fmt.Sprintf("BDAT %d LAST\r\n%s", len(chunk)-8, chunk[8:])} {
		_, _ = c.Text.W.WriteString(line)
		if !strings.HasPrefix(line, "BDAT") {
			_, _ = c.Text.W.WriteString("\r\n")
		}
		_ = c.Text.W.Flush()
		if _, _, err := c.Text.ReadResponse(250); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Quit()
}

// compareSTARTTLS checks that what follows is handed on.
func compareSTARTTLS(t *testing.T, r *relay) {
	t.Helper()
	try(t, "sh", "-c", "echo QUIT | openssl s_client -quiet -starttls smtp -name openssl.example -connect "+r.address)
	mails, _, _ := r.events(t)
	if len(mails) != 1 || !mails[0].StartTLS || mails[0].Helo != "openssl.example" || mails[0].MailFrom != "" {
		t.Errorf("got %+v", mails)
	}
}

// compareWithTshark checks that the commands, replies and header fields are those that tshark finds.
func compareWithTshark(t *testing.T, conversations [][]parsetest.Step) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "traffic.pcap")
	writeCapture(t, path, conversations)
	fields := []string{"tcp.stream", "smtp.req.command", "smtp.req.parameter", "imf.subject", "imf.from", "imf.to", "imf.message_id"}
	args := []string{"-r", path, "-d", "tcp.port==25,smtp", "-Y", "smtp || imf", "-T", "fields", "-E", "separator=|", "-E", "aggregator=;", "-E", "occurrence=a"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	commands := map[string][]string{} // by stream
	var headers []string
	for line := range strings.Lines(runs(t, "tshark", args...)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		names, parameters := strings.Split(f[1], ";"), strings.Split(f[2], ";")
		for i, name := range names {
			if name == "" {
				continue
			}
			if i < len(parameters) && name != "AUTH" {
				name = strings.TrimRight(name+" "+parameters[i], " ")
			}
			commands[f[0]] = append(commands[f[0]], name)
		}
		headers = append(headers, f[3:]...)
	}
	for i, steps := range conversations {
		var mine []string
		for _, b := range parsetest.Bodies(t, steps, Protocol) {
			if m, ok := b.(*event.SMTP); ok {
				for _, c := range m.Commands {
					command, _, _ := strings.Cut(c, " -> ")
					switch verb, _, _ := strings.Cut(command, " "); verb {
					case "AUTH":
						command = verb
					case "BDAT": // which tshark takes for data
						continue
					}
					mine = append(mine, command)
				}
				if x := m.Message; x != nil {
					for _, v := range append([]string{x.From, "<" + x.ID + ">"}, x.To...) {
						if v != "" && v != "<>" && !strings.Contains(strings.Join(headers, "\n"), v) {
							t.Errorf("tshark finds no %q", v)
						}
					}
				}
			}
		}
		theirs := commands[fmt.Sprint(i)]
		if n := len(theirs); n > len(mine) && theirs[n-1] == "QUIT" {
			theirs = theirs[:n-1] // what ends a session behind its last mail is not told
		}
		if diff := cmp.Diff(theirs, mine); diff != "" {
			t.Errorf("commands of connection %d differ (-tshark +parser):\n%s", i, diff)
		}
	}
}

// writeCapture writes the conversations as TCP connections to port 25.
func writeCapture(t *testing.T, path string, conversations [][]parsetest.Step) {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(1<<16, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0)
	for i, steps := range conversations {
		next := [2]uint32{1000, 5000}
		send := func(dir flow.Direction, syn bool, data []byte) {
			tcp := &layers.TCP{SrcPort: layers.TCPPort(40000 + i), DstPort: 25, Seq: next[dir], Ack: next[dir.Reverse()], SYN: syn, ACK: !syn || dir == flow.ToClient, PSH: !syn, Window: 65000}
			ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IPv4(10, 0, 0, 1), DstIP: net.IPv4(10, 0, 0, 2)}
			if dir == flow.ToClient {
				tcp.SrcPort, tcp.DstPort, ip.SrcIP, ip.DstIP = tcp.DstPort, tcp.SrcPort, ip.DstIP, ip.SrcIP
			}
			_ = tcp.SetNetworkLayerForChecksum(ip)
			b := gopacket.NewSerializeBuffer()
			if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, tcp, gopacket.Payload(data)); err != nil {
				t.Fatal(err)
			}
			at = at.Add(time.Millisecond)
			if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(b.Bytes()), Length: len(b.Bytes())}, b.Bytes()); err != nil {
				t.Fatal(err)
			}
			if next[dir] += uint32(len(data)); syn {
				next[dir]++
			}
		}
		send(flow.ToServer, true, nil)
		send(flow.ToClient, true, nil)
		for _, s := range steps {
			for b := s.Data; len(b) > 0; b = b[min(len(b), 1400):] {
				send(s.Dir, false, b[:min(len(b), 1400)])
			}
		}
	}
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
