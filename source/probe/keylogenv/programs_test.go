package keylogenv

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/decrypt"
	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// nobody is a user without any rights.
const nobody = 65534

// ownSystem gives the test, and the programs that it starts, an /etc and a /run to change: those of this machine are below, and untouched.
func ownSystem(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test, and the namespace with it
	must := func(err error) {
		t.Helper()
		testkit.SkipIfNotSupported(t, err)
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS))
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"))
	for _, dir := range []string{"/run/upper", "/run/work"} {
		must(os.Mkdir(dir, 0o755))
	}
	must(unix.Mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=/run/upper,workdir=/run/work"))
	must(unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"))
}

// server is openssl s_server behind a proxy that records one connection at a time.
type server struct {
	address  string
	listener net.Listener
}

func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(filepath.Join(dir, "both.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = free.Addr().String()
	free.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, testkit.Need(t, "openssl"), "s_server", "-accept", s.address, "-cert", filepath.Join(dir, "both.pem"), "-www", "-quiet")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.listener.Close()
		cancel()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.address); err == nil {
			c.Close()
			return s
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// recorded is what was seen of a connection.
type recorded struct {
	mu     sync.Mutex
	chunks []chunk
}

type chunk struct {
	dir   flow.Direction
	bytes []byte
}

// next passes the next connection on, and records it.
func (s *server) next() <-chan *recorded {
	done := make(chan *recorded, 1)
	go func() {
		r := new(recorded)
		defer func() { done <- r }()
		client, err := s.listener.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", s.address)
		if err != nil {
			return
		}
		defer server.Close()
		var both sync.WaitGroup
		both.Go(func() { r.forward(flow.ToServer, client, server) })
		both.Go(func() { r.forward(flow.ToClient, server, client) })
		both.Wait()
	}()
	return done
}

func (r *recorded) forward(dir flow.Direction, from, to net.Conn) {
	defer to.(*net.TCPConn).CloseWrite()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		r.mu.Lock()
		r.chunks = append(r.chunks, chunk{dir, bytes.Clone(buf[:n])})
		r.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// plain decrypts the connection by the keys in a file, as the sensor does. It implements decrypt.Output.
type plain struct {
	text [2]bytes.Buffer
	lost int
}

func (p *plain) Plain(dir flow.Direction, _ time.Time, b []byte) { p.text[dir].Write(b) }
func (p *plain) Lost(flow.Direction, time.Time, int)             { p.lost++ }

func (r *recorded) decrypt(t *testing.T, file string) *plain {
	t.Helper()
	keys := keylog.NewStore(100)
	if err := keylog.Load(file, keys); err != nil {
		t.Fatal(err)
	}
	p := new(plain)
	s := decrypt.NewWorker(decrypt.Config{Keys: keys, Certificates: handshake.NewCertificates(10), MaxWaiting: decrypt.DefaultMaxWaiting}).NewSession(p)
	for _, c := range r.chunks {
		s.Data(c.dir, time.Now(), c.bytes)
	}
	s.Close(time.Now())
	return p
}

// login runs a command in a login shell of nobody.
func login(t *testing.T, command string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, testkit.Need(t, "sh"), "-lc", command)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestPrograms switches the mode on as root, and lets real programs of a user without rights talk: what they said can be decrypted.
func TestPrograms(t *testing.T) {
	ownSystem(t)
	before := listing(t, "/etc")
	s := newSetup(t, Config{File: fmt.Sprintf("/run/keylog-%d/programs.log", os.Getpid())}) // which no process of this machine can know
	if _, err := s.On(); err != nil {
		t.Fatal(err)
	}
	server := newServer(t)
	url := "https://" + server.listener.Addr().String() + "/"
	_, port, _ := net.SplitHostPort(server.listener.Addr().String())
	for name, command := range map[string]string{
		"curl":       "curl -sSk " + url,
		"wget":       "wget --no-check-certificate -qO- " + url,
		"python3":    "/usr/bin/python3 -c 'import ssl, urllib.request as u; print(u.urlopen(\"" + url + "\", context=ssl._create_unverified_context()).read())'",
		"gnutls-cli": "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | gnutls-cli --insecure --logfile=/dev/null -p " + port + " 127.0.0.1",
	} {
		checkProgram(t, s.File(), name, command, server.next()) // not t.Run, whose goroutine would be outside
	}
	checkAttacks(t, s.File())
	checkOff(t, s, before)
}

func checkProgram(t *testing.T, file, name, command string, connection <-chan *recorded) {
	t.Helper()
	testkit.Need(t, name)
	out, err := login(t, command)
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	p := (<-connection).decrypt(t, file)
	if request, response := p.text[flow.ToServer].String(), p.text[flow.ToClient].String(); p.lost > 0 ||
		!strings.HasPrefix(request, "GET / HTTP/1.") || !strings.Contains(response, "s_server") {
		t.Errorf("%s: decrypted %q and %d bytes, lost %d times", name, request, len(response), p.lost)
	}
}

// checkAttacks tries as another user what would harm the keys.
func checkAttacks(t *testing.T, file string) {
	t.Helper()
	for name, command := range map[string]string{
		"read":          "cat " + file,
		"list":          "ls " + filepath.Dir(file),
		"remove":        "rm -f " + file,
		"replace":       "ln -sf /etc/passwd " + file,
		"put beside it": "touch " + filepath.Dir(file) + "/other.log",
		"empty":         "sh -c ': > " + file + "'",
	} {
		out, err := login(t, command)
		if err == nil && !(name == "empty" && !appendOnly(t, file)) {
			t.Errorf("%s: worked: %s", name, out)
		}
	}
	// Nobody can fill more than the file system, and programs go on when it is full.
	if out, err := login(t, "head -c 100000000 /dev/zero >> "+file); err == nil || !strings.Contains(out, "No space") {
		t.Errorf("fill: %v: %s", err, out)
	}
	if out, err := login(t, "/usr/bin/python3 -c 'import ssl; ssl.create_default_context()'"); err != nil {
		t.Errorf("Python with a full key file: %v: %s", err, out)
	}
	locked := appendOnly(t, file)
	if emptied, err := emptyAbove(file, keepSize); !emptied || err != nil {
		t.Errorf("emptied %t, %v", emptied, err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() != 0 || info.Mode().Perm() != fileMode || appendOnly(t, file) != locked {
		t.Errorf("after emptying: %v, %v", info, err)
	}
}

func appendOnly(t *testing.T, file string) bool {
	t.Helper()
	k, err := newSetup(t, Config{File: file}).keyFile()
	if err != nil {
		t.Fatal(err)
	}
	return k.AppendOnly
}

// checkOff switches the mode off under a program that still has the variable, which must go on, and then again.
func checkOff(t *testing.T, s *Setup, before map[string]string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	holder := exec.CommandContext(ctx, testkit.Need(t, "sleep"), "60")
	holder.Env = []string{variable + "=" + s.File()}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	var status Status
	var err error
	for end := time.Now().Add(10 * time.Second); len(status.Holders) == 0 && time.Now().Before(end); { // the kernel may still be starting it
		if status, err = s.Status(); err != nil {
			t.Fatal(err)
		}
	}
	if !cmp.Equal([]int{holder.Process.Pid}, status.Holders) {
		t.Errorf("holders %v, want %d", status.Holders, holder.Process.Pid)
	}
	changes, err := s.Off()
	if all := strings.Join(changes, "\n"); err != nil || !strings.Contains(all, strconv.Itoa(holder.Process.Pid)) {
		t.Errorf("switched off: %q, %v", changes, err)
	}
	cmd := exec.CommandContext(ctx, "/usr/bin/python3", "-c", "import ssl; ssl.create_default_context()")
	cmd.Env = holder.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("Python with the variable of a mode that is off: %v: %s", err, out)
	}
	if to, err := os.Readlink(s.File()); err != nil || to != sink {
		t.Errorf("in its place: %q, %v", to, err)
	}
	if out, err := login(t, "echo ${SSLKEYLOGFILE-none}"); err != nil || out != "none\n" {
		t.Errorf("a login shell has %q, %v", out, err)
	}
	cancel()
	_ = holder.Wait()
	if changes, err := s.Off(); err != nil || len(changes) == 0 {
		t.Errorf("switched off again: %q, %v", changes, err)
	}
	if diff := cmp.Diff(before, listing(t, "/etc")); diff != "" {
		t.Errorf("what stays in /etc:\n%s", diff)
	}
	if entries, err := os.ReadDir("/run"); err != nil || len(entries) > 0 {
		t.Errorf("what stays in /run: %v, %v", entries, err)
	}
}
