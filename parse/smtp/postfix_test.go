package smtp

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// services are what Postfix needs to take mail and throw it away.
const services = `%s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
anvil unix - - n - 1 anvil
discard unix - - n - - discard
postlog unix-dgram n - n - 1 postlogd
`

const settings = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
command_directory = /usr/sbin
daemon_directory = %[2]s
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
myhostname = mx.example
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
default_transport = discard:
smtpd_recipient_restrictions = check_recipient_access inline:{nobody@example.com=REJECT}, permit
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:%[3]s
smtpd_tls_security_level = may
smtpd_tls_chain_files = %[1]s/tls.pem
`

// startPostfix runs a Postfix of its own and returns its address. It throws away what it takes, refuses mail to
// nobody@example.com, and lets alice log in with the password "wonderland".
func startPostfix(t *testing.T) string {
	t.Helper()
	testkit.Need(t, "postfix")
	owner, err := user.Lookup("postfix")
	if os.Geteuid() != 0 || err != nil {
		testkit.Skip(t, "Postfix runs as root only: uid %d, %v", os.Geteuid(), err)
	}
	dir, err := os.MkdirTemp("", "vitrine-postfix") // unlike that of t, open to Postfix's own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	address := freeAddress(t)
	daemons := strings.TrimSpace(runs(t, "postconf", "-d", "-h", "daemon_directory"))
	uid, _ := strconv.Atoi(owner.Uid)
	for _, folder := range []string{"etc", "queue", "data"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		"etc/main.cf": fmt.Sprintf(settings, dir, daemons, serveLogins(t)), "etc/master.cf": fmt.Sprintf(services, address),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "data"), uid, -1); err != nil {
		t.Fatal(err)
	}
	runs(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=mx.example",
		"-keyout", dir+"/tls.pem", "-out", dir+"/cert.pem")
	runs(t, "sh", "-c", "cat "+dir+"/cert.pem >>"+dir+"/tls.pem")
	runs(t, "postfix", "-c", dir+"/etc", "check")
	master := exec.Command(daemons+"/master", "-d", "-c", dir+"/etc")
	master.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it ends its whole group
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = master.Process.Signal(syscall.SIGTERM)
		_ = master.Wait()
		if log, _ := os.ReadFile(dir + "/log"); t.Failed() {
			t.Logf("Postfix says:\n%s", log)
		}
	})
	waitFor(t, address)
	return address
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func waitFor(t *testing.T, address string) {
	t.Helper()
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("nobody listens at %s", address)
}

func runs(t *testing.T, program string, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), testkit.Need(t, program), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", program, args, err, out, &stderr)
	}
	return string(out)
}

// serveLogins answers Postfix's questions about passwords in Dovecot's protocol and returns its address.
func serveLogins(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go judge(c)
		}
	}()
	return l.Addr().String()
}

// judge follows one connection: a login is either one message or, for LOGIN, two more that are asked for.
func judge(c net.Conn) {
	defer c.Close()
	fmt.Fprint(c, "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
	var user string
	for lines := bufio.NewScanner(c); lines.Scan(); {
		f := strings.Split(lines.Text(), "\t")
		message := ""
		switch {
		case f[0] == "AUTH":
			user = ""
			if initial, ok := strings.CutPrefix(f[len(f)-1], "resp="); ok {
				message = initial
			}
		case f[0] == "CONT":
			message = f[2]
		default:
			continue
		}
		b, _ := base64.StdEncoding.DecodeString(message)
		switch parts := strings.Split(string(b), "\x00"); {
		case f[0] == "AUTH" && f[2] == "LOGIN" && message == "":
			fmt.Fprintf(c, "CONT\t%s\tVXNlcm5hbWU6\n", f[1])
		case f[0] == "AUTH" && message == "":
			fmt.Fprintf(c, "CONT\t%s\t\n", f[1])
		case len(parts) == 1 && user == "":
			user = parts[0]
			fmt.Fprintf(c, "CONT\t%s\tUGFzc3dvcmQ6\n", f[1])
		case parts[len(parts)-1] == "wonderland":
			fmt.Fprintf(c, "OK\t%s\tuser=alice\n", f[1])
		default:
			fmt.Fprintf(c, "FAIL\t%s\tuser=alice\n", f[1])
		}
	}
}
