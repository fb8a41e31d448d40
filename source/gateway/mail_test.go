package gateway_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// publicDir makes a folder that servers' own users can read, with a certificate and its key.
func publicDir(t testing.TB, id *identity) (dir, cert, key string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "vitrine-servers")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	cert, key = id.files(t, dir)
	return dir, cert, key
}

// background runs a server until the end of the test, and waits until it listens.
func background(t testing.TB, address string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true} // Postfix ends its whole group
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	check(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s: %v: %s", name, err, out.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen on %s", name, address)
		}
	}
}

// freeAddresses returns addresses on which nobody listens.
func freeAddresses(t testing.TB, n int) (all []string) {
	t.Helper()
	for range n {
		l := listen(t)
		all = append(all, l.Addr().String())
		defer l.Close()
	}
	return all
}

// startPostfix throws away what it takes, and returns its addresses with TLS from the first byte and with STARTTLS.
func startPostfix(t testing.TB, id *identity) (smtps, submission string) {
	t.Helper()
	dir, cert, key := publicDir(t, id)
	owner := lookUp(t, "postfix")
	for _, folder := range []string{"etc", "queue", "data"} {
		check(t, os.Mkdir(filepath.Join(dir, folder), 0o755))
	}
	check(t, os.Chown(filepath.Join(dir, "data"), owner, -1))
	daemons, _ := run(t, "", "postconf", "-d", "-h", "daemon_directory")
	daemons = strings.TrimSpace(daemons)
	free := freeAddresses(t, 2)
	write(t, filepath.Join(dir, "etc"), "main.cf", fmt.Appendf(nil, `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
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
smtpd_tls_security_level = may
smtpd_tls_cert_file = %[3]s
smtpd_tls_key_file = %[4]s
`, dir, daemons, cert, key))
	write(t, filepath.Join(dir, "etc"), "master.cf", fmt.Appendf(nil, `%s inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
%s inet n - n - - smtpd
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
`, free[0], free[1]))
	if out, status := run(t, "", "postfix", "-c", dir+"/etc", "check"); status != 0 {
		t.Fatal(out)
	}
	background(t, free[1], daemons+"/master", "-d", "-c", dir+"/etc")
	return free[0], free[1]
}

// lookUp returns the number of a user that a package makes.
func lookUp(t testing.TB, name string) int {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		testkit.Skip(t, "there is no user %s here: %v", name, err)
	}
	uid, err := strconv.Atoi(u.Uid)
	check(t, err)
	return uid
}

// startDovecot has an empty mailbox for everybody, and returns the addresses of imap, imaps, pop3 and pop3s.
func startDovecot(t testing.TB, id *identity) []string {
	t.Helper()
	dir, cert, key := publicDir(t, id)
	lookUp(t, "dovenull")
	nobody := lookUp(t, "nobody")
	check(t, os.Mkdir(filepath.Join(dir, "mail"), 0o755))
	check(t, os.Chown(filepath.Join(dir, "mail"), nobody, -1))
	free := freeAddresses(t, 4)
	listener := func(name, address, more string) string {
		return fmt.Sprintf("inet_listener %s {\naddress = 127.0.0.1\nport = %s\n%s\n}\n", name, port(address), more)
	}
	file := write(t, dir, "dovecot.conf", fmt.Appendf(nil, `base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = imap pop3
ssl = yes
ssl_cert = <%[2]s
ssl_key = <%[3]s
mail_location = maildir:%[1]s/mail/%%u
first_valid_uid = 1
passdb {
driver = static
args = password=open-sesame
}
userdb {
driver = static
args = uid=%[4]d gid=%[4]d home=%[1]s/mail/%%u
}
service imap-login {
%[5]s%[6]s}
service pop3-login {
%[7]s%[8]s}
`, dir, cert, key, nobody, listener("imap", free[0], ""), listener("imaps", free[1], "ssl = yes"), listener("pop3", free[2], ""), listener("pop3s", free[3], "ssl = yes")))
	background(t, free[0], testkit.Need(t, "dovecot"), "-F", "-c", file)
	return free
}

// TestMail has curl send and fetch mail with Postfix and Dovecot, over TLS from the first byte and over TLS that begins later.
func TestMail(t *testing.T) {
	w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
	id := issue(t, w.public, newRSA(t), forShop)
	smtps, submission := startPostfix(t, id)
	boxes := startDovecot(t, id)
	dir := t.TempDir()
	ca, _ := w.private.files(t, dir)
	for _, tt := range []struct{ scheme, address string }{
		{"smtps", smtps}, {"smtp", submission}, {"imap", boxes[0]}, {"imaps", boxes[1]}, {"pop3", boxes[2]}, {"pop3s", boxes[3]},
	} {
		args := []string{"-sS", "--ssl-reqd", "--cacert", ca, "-x", "socks5h://" + w.socks, "--max-time", "20", tt.scheme + "://localhost:" + port(tt.address) + "/"}
		subject := "by " + tt.scheme
		if strings.HasPrefix(tt.scheme, "smtp") {
			mail := write(t, dir, "mail", []byte("From: ann@shop.example\r\nTo: bob@shop.example\r\nSubject: "+subject+"\r\n\r\nSee you at six.\r\n"))
			args = append(args, "--mail-from", "ann@shop.example", "--mail-rcpt", "bob@shop.example", "-T", mail)
		} else {
			args = append(args, "--user", "ann:open-sesame")
		}
		if out, status := run(t, "", "curl", args...); status != 0 {
			t.Fatalf("%s: status %d, %s", tt.scheme, status, out)
		}
		if strings.HasPrefix(tt.scheme, "smtp") {
			r := w.await(t, "the mail", func(r *event.Record) bool { return r.Kind == event.KindSMTP && r.SMTP.Message != nil })
			if r.SMTP.Message.Subject != subject || r.SMTP.MailFrom != "ann@shop.example" || !slices.Equal(r.SMTP.RcptTo, []string{"bob@shop.example"}) || r.SMTP.Code != 250 || r.Decryption.State != flow.DecryptedYes {
				t.Errorf("told %+v, %+v", r.SMTP, r.Decryption)
			}
		}
		w.awaitOpened(t, tt.scheme, tt.address)
	}
}

// awaitOpened checks the next TLS connection that has ended.
func (w *world) awaitOpened(t testing.TB, what, address string) {
	t.Helper()
	r := w.awaitTLS(t)
	if r.Decryption != (flow.Decryption{State: flow.DecryptedYes, Source: flow.FromInspection}) || r.TLS.SNI != "localhost" || r.TLS.PlaintextBytes == 0 || r.TLS.Fault != "" || r.Server.String() != address {
		t.Errorf("%s: told %v, %+v, %+v", what, r.Server, r.Decryption, r.TLS)
	}
}

// startFTP runs vsftpd over TLS, and returns its address.
func startFTP(t testing.TB, id *identity, more ...string) string {
	t.Helper()
	dir, cert, key := publicDir(t, id)
	for folder, mode := range map[string]os.FileMode{"root": 0o755, "empty": 0o755, "root/in": 0o777} {
		check(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
		check(t, os.Chmod(filepath.Join(dir, folder), mode))
	}
	file := write(t, filepath.Join(dir, "root"), "readme.txt", []byte("read me\n"))
	check(t, os.Chmod(file, 0o644))
	address := freeAddresses(t, 1)[0]
	config := append([]string{
		"listen=YES", "listen_address=127.0.0.1", "listen_port=" + port(address), "background=NO", "anonymous_enable=YES", "local_enable=NO", "write_enable=YES",
		"anon_upload_enable=YES", "anon_umask=022", "anon_root=" + filepath.Join(dir, "root"), "secure_chroot_dir=" + filepath.Join(dir, "empty"), "xferlog_enable=NO",
		"ssl_enable=YES", "allow_anon_ssl=YES", "force_anon_data_ssl=YES", "force_anon_logins_ssl=YES", "ssl_ciphers=HIGH", "rsa_cert_file=" + cert, "rsa_private_key_file=" + key,
	}, more...)
	background(t, address, testkit.Need(t, "vsftpd"), write(t, dir, "vsftpd.conf", []byte(strings.Join(config, "\n")+"\n")))
	return address
}

// TestFTPS has curl get and put files with vsftpd over TLS, which is asked for (AUTH TLS) or there from the beginning, with data
// connections that must resume the session of the control connection or need not. By default vsftpd asks for client certificates:
// from the beginning that would be a reason to bypass it.
func TestFTPS(t *testing.T) {
	if os.Geteuid() != 0 {
		testkit.Skip(t, "vsftpd needs root")
	}
	for scheme, settings := range map[string][]string{"ftp": nil, "ftps": {"implicit_ssl=YES", "ssl_request_cert=NO"}} {
		for _, reuse := range []string{"NO", "YES"} {
			t.Run(scheme+" reuse "+reuse, func(t *testing.T) {
				w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
				address := startFTP(t, issue(t, w.public, newRSA(t), forShop), append(settings, "require_ssl_reuse="+reuse)...)
				dir := t.TempDir()
				ca, _ := w.private.files(t, dir)
				url := scheme + "://localhost:" + port(address) + "/"
				for _, args := range [][]string{{url + "readme.txt"}, {"-T", write(t, dir, "up.txt", []byte("up\n")), url + "in/"}} {
					args = append([]string{"-sS", "--ssl-reqd", "--cacert", ca, "-x", "socks5h://" + w.socks, "--max-time", "20"}, args...)
					if out, status := run(t, "", "curl", args...); status != 0 {
						t.Fatalf("status %d, %s", status, out)
					}
				}
				for _, name := range []string{"RETR", "STOR"} {
					r := w.await(t, name, func(r *event.Record) bool { return r.Kind == event.KindFTPData && r.FTPData.Command == name })
					if r.Decryption.State != flow.DecryptedYes {
						t.Errorf("%s: told %+v", name, r.Decryption)
					}
				}
			})
		}
	}
}
