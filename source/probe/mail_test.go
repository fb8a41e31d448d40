package probe_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// TestMail has mail sent to Postfix, over TLS from the first byte and over TLS that begins later.
func TestMail(t *testing.T) {
	id := newIdentity(t)
	w := watch(t, probe.Config{})
	smtps, submission := postfix(t, id)
	swaks := func(port int, subject string, args ...string) *exec.Cmd {
		return exec.Command(testkit.Need(t, "swaks"), append([]string{"--server", "127.0.0.1", "--port", fmt.Sprint(port), "--from", "alice@example.com",
			"--to", "bob@example.com", "--header", "Subject: " + subject, "--body", "See you at six.", "--hide-all"}, args...)...)
	}
	curl := func(url, subject string) *exec.Cmd {
		mail := filepath.Join(t.TempDir(), "mail")
		write(t, mail, []byte("From: alice@example.com\r\nTo: bob@example.com\r\nSubject: "+subject+"\r\n\r\nSee you at six.\r\n"))
		return exec.Command(testkit.Need(t, "curl"), "-sk", "--ssl-reqd", url, "--mail-from", "alice@example.com", "--mail-rcpt", "bob@example.com", "-T", mail)
	}
	for subject, tc := range map[string]struct {
		cmd  *exec.Cmd
		port int
	}{
		"swaks smtps":    {swaks(smtps, "swaks smtps", "--tls-on-connect"), smtps},
		"swaks starttls": {swaks(submission, "swaks starttls", "--tls"), submission},
		"curl smtps":     {curl(fmt.Sprintf("smtps://127.0.0.1:%d", smtps), "curl smtps"), smtps},
		"curl starttls":  {curl(fmt.Sprintf("smtp://127.0.0.1:%d", submission), "curl starttls"), submission},
	} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			_, pid := runCommand(t, tc.cmd)
			for side, want := range map[flow.Side]string{flow.ClientSide: filepath.Base(tc.cmd.Path), flow.ServerSide: "smtpd"} {
				r := w.await(t, fmt.Sprintf("%s at the %s", subject, side), func(r *event.Record) bool {
					return r.SMTP != nil && r.SMTP.Message != nil && r.SMTP.Message.Subject == subject && r.Local == side
				})
				m := r.SMTP
				if m.MailFrom != "alice@example.com" || !slices.Equal(m.RcptTo, []string{"bob@example.com"}) || m.Code != 250 {
					t.Errorf("the %s: %+v", side, m)
				}
				if r.Process.Name != want || side == flow.ClientSide && r.Process.PID != pid || int(r.Server.Port) != tc.port {
					t.Errorf("the %s is %+v, %v to %v", side, r.Process, r.Client, r.Server)
				}
			}
		})
	}
}

// postfix throws away what it takes, and returns its ports with TLS from the first byte and with STARTTLS.
func postfix(t testing.TB, id identity) (smtps, submission int) {
	t.Helper()
	daemons, _ := run(t, "postconf", "-d", "-h", "daemon_directory")
	daemons = strings.TrimSpace(daemons)
	owner, err := user.Lookup("postfix")
	if err != nil {
		testkit.Skip(t, "Postfix has no user here: %v", err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	dir, err := os.MkdirTemp("", "vitrine-postfix") // unlike that of t, open to Postfix's own user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, folder := range []string{"", "etc", "queue", "data"} {
		_ = os.Mkdir(filepath.Join(dir, folder), 0o755)
		if err := os.Chmod(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(dir, "data"), uid, -1); err != nil {
		t.Fatal(err)
	}
	smtps, submission = freePort(t), freePort(t)
	write(t, filepath.Join(dir, "etc/main.cf"), fmt.Appendf(nil, `compatibility_level = 3.6
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
`, dir, daemons, id.cert, id.key))
	write(t, filepath.Join(dir, "etc/master.cf"), fmt.Appendf(nil, `127.0.0.1:%d inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:%d inet n - n - - smtpd
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
`, smtps, submission))
	run(t, "postfix", "-c", dir+"/etc", "check")
	master := exec.Command(daemons+"/master", "-d", "-c", dir+"/etc")
	master.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it ends its whole group
	serve(t, submission, master)
	t.Cleanup(func() {
		if log, _ := os.ReadFile(dir + "/log"); t.Failed() {
			t.Logf("Postfix says:\n%s", log)
		}
	})
	return smtps, submission
}

// TestFTP has files transferred by vsftpd over TLS.
func TestFTP(t *testing.T) {
	id := newIdentity(t)
	w := watch(t, probe.Config{})
	for name, tc := range map[string]struct{ option, mode, client string }{
		"explicit": {"implicit_ssl=NO", "passive", "curl"}, "implicit": {"implicit_ssl=YES", "passive", "curl"}, "active": {"implicit_ssl=NO", "active", "lftp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			port := vsftpd(t, id, s, tc.option)
			got, url := filepath.Join(s.dir, "got"), fmt.Sprintf("ftp://127.0.0.1:%d", port)
			args := []string{"-sSk", "--ssl-reqd", "--user", "anonymous:open-sesame", url + "/64k", "-o", got}
			switch name {
			case "implicit":
				args[4] = strings.Replace(args[4], "ftp:", "ftps:", 1)
			case "active": // in which curl and TLS do not go together
				args = []string{"-u", "anonymous,open-sesame", "-e", "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; set ssl:verify-certificate no; " +
					"set ftp:passive-mode no; get 64k -o " + got + "; quit", url}
			}
			said, pid := run(t, tc.client, args...)
			content, err := os.ReadFile(got)
			if sum := sha256.Sum256(content); err != nil || hex.EncodeToString(sum[:]) != s.hashes["64k"] {
				t.Fatalf("the transfer failed: %v, %s", err, said)
			}
			checkTransfer(t, w, flow.ClientSide, port, transfer{tc.client, pid, tc.mode, s.hashes["64k"]})
			checkTransfer(t, w, flow.ServerSide, port, transfer{"vsftpd", 0, tc.mode, s.hashes["64k"]})
		})
	}
}

// transfer is a file that a program sends or gets.
type transfer struct {
	program    string
	pid        int // 0 if unknown
	mode, hash string
}

func checkTransfer(t *testing.T, w *watched, side flow.Side, port int, want transfer) {
	t.Helper()
	retrieved := w.await(t, fmt.Sprintf("RETR at the %s", side), func(r *event.Record) bool {
		return r.FTP != nil && r.FTP.Command == "RETR" && r.Local == side && int(r.Server.Port) == port && r.FTP.Code == 226
	})
	login := w.await(t, fmt.Sprintf("the login at the %s", side), func(r *event.Record) bool {
		return r.FTP != nil && r.FTP.Login == "accepted" && r.ConnID == retrieved.ConnID
	})
	data := w.await(t, fmt.Sprintf("the file at the %s", side), func(r *event.Record) bool {
		return r.FTPData != nil && r.FTPData.SHA256 == want.hash && r.FTPData.ControlID == retrieved.ConnID
	})
	if f := data.FTPData; f.Command != "RETR" || f.Name != "64k" || f.Mode != want.mode || login.FTP.User != "anonymous" {
		t.Errorf("the %s: %+v by %s", side, f, login.FTP.User)
	}
	for _, r := range []*event.Record{retrieved, data} {
		if r.Process.Name != want.program || want.pid != 0 && r.Process.PID != want.pid {
			t.Errorf("the %s is %+v", side, r.Process)
		}
	}
}

func vsftpd(t testing.TB, id identity, s site, option string) int {
	t.Helper()
	port := freePort(t)
	empty := t.TempDir()
	for dir := empty; dir != os.TempDir(); dir = filepath.Dir(dir) { // the server's children are not root
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for dir := s.dir; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(t.TempDir(), "vsftpd.conf")
	write(t, conf, []byte(strings.Join([]string{
		"listen=YES", "listen_address=127.0.0.1", fmt.Sprint("listen_port=", port), "background=NO", "anonymous_enable=YES", "local_enable=NO",
		"anon_root=" + s.dir, "secure_chroot_dir=" + empty, "xferlog_enable=NO", option,
		"ssl_enable=YES", "allow_anon_ssl=YES", "force_anon_logins_ssl=YES", "force_anon_data_ssl=YES", "require_ssl_reuse=NO", "ssl_ciphers=HIGH",
		"rsa_cert_file=" + id.cert, "rsa_private_key_file=" + id.key,
	}, "\n")+"\n"))
	serve(t, port, exec.Command(testkit.Need(t, "vsftpd"), conf))
	return port
}
