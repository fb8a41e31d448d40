package main_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// dialogue is what was said on one FTP control connection: commands with their arguments, and the codes of replies.
type dialogue struct{ Commands, Codes []string }

// TestFTPAgreesWithTshark captures what curl and lftp do with vsftpd, passive and active, and compares what tshark and Vitrine make of it.
func TestFTPAgreesWithTshark(t *testing.T) {
	t.Parallel()
	tshark := testkit.Need(t, "tshark")
	site := newFTPSite(t, "ftp")
	file := site.file("traffic.pcapng")
	stop := capturePackets(t, site.server, file)
	site.visit(t)
	stop()

	wantDialogues, wantTransfers := tsharkFTP(t, tshark, file)
	if len(wantDialogues) < 12 || len(wantTransfers) < 12 {
		t.Fatalf("tshark saw %d connections and %d transfers only", len(wantDialogues), len(wantTransfers))
	}
	r := runVitrine(t, nil, "replay", "-o", "json", file)
	if r.status != 0 || r.stderr != "" {
		t.Fatalf("%+v", r)
	}
	dialogues, transfers, hashes := vitrineFTP(t, r.stdout)
	if diff := gocmp.Diff(wantDialogues, dialogues); diff != "" {
		t.Errorf("control connections: -tshark +vitrine:\n%s", diff)
	}
	for ports, command := range wantTransfers {
		if !transferring.MatchString(command) && transfers[ports] != "" {
			wantTransfers[ports] = transfers[ports] // tshark names the command before
		}
	}
	if diff := gocmp.Diff(wantTransfers, transfers); diff != "" {
		t.Errorf("data connections: -tshark +vitrine:\n%s", diff)
	}
	for h := range tsharkFTPHashes(t, tshark, site, file) {
		if hashes[h] == 0 {
			t.Errorf("tshark restored something of hash %s, Vitrine did not", h)
		}
	}
	for name, times := range map[string]int{"root/pub/big.bin": 7, "root/pub/two words.txt": 3, "up.bin": 5} {
		content, err := os.ReadFile(site.file(name))
		if err != nil {
			t.Fatal(err)
		}
		if n := hashes[hash(content)]; n < times {
			t.Errorf("%s was seen %d times, want at least %d", name, n, times)
		}
	}
	if strings.Contains(r.stdout, "open-sesame") {
		t.Error("a password is among the events")
	}
}

// transferring are the commands of data connections.
var transferring = regexp.MustCompile(`^(RETR|STOR|APPE|LIST|NLST)`)

// TestFTPCommandsAhead compares what lftp does when it waits for each reply with what it does when it does not.
func TestFTPCommandsAhead(t *testing.T) {
	t.Parallel()
	site := newFTPSite(t, "ftp")
	said := map[string][]string{}
	for name, set := range map[string]string{"waits": "set ftp:sync-mode on;", "ahead": "set ftp:sync-mode off;"} {
		file := site.file(name + ".pcapng")
		stop := capturePackets(t, site.server, file)
		site.lftp(t, set)
		stop()
		r := runVitrine(t, nil, "replay", "-o", "json", file)
		for _, o := range objects(t, r.stdout) {
			f, ok := o["ftp"].(map[string]any)
			if d, isData := o["ftp_data"].(map[string]any); isData {
				f, ok = d, true
			}
			if command := text(f["command"]); ok && command != "PASV" && command != "SITE" { // whose arguments are ports and times
				said[name] = append(said[name], fmt.Sprint(o["kind"], command, f["argument"], f["name"], f["path"], f["code"], f["sha256"]))
			}
		}
		slices.Sort(said[name])
	}
	if diff := gocmp.Diff(said["waits"], said["ahead"]); diff != "" || len(said["ahead"]) < 20 {
		t.Errorf("%d events: -waits +ahead:\n%s", len(said["ahead"]), diff)
	}
}

// ftpSite is a vsftpd in one namespace, with a folder of its own, and its visitors in another.
type ftpSite struct {
	shop
	scheme string // of its URLs
}

func newFTPSite(t *testing.T, scheme string, options ...string) *ftpSite {
	t.Helper()
	vsftpd := testkit.Need(t, "vsftpd")
	s := &ftpSite{shop{dir: t.TempDir()}, scheme}
	s.keyLog = s.file("keys.log")
	if err := os.Chmod(filepath.Dir(s.dir), 0o755); err != nil { // the server's children are not root
		t.Fatal(err)
	}
	s.client, s.server = testkit.VethPair(t)
	s.write(t, "root/pub/readme.txt", []byte("one\ntwo\nthree\n"))
	s.write(t, "root/pub/two words.txt", []byte("some words"))
	s.write(t, "root/pub/big.bin", random(300_000))
	s.write(t, "up.bin", random(100_000))
	for dir, mode := range map[string]os.FileMode{"root/in": 0o777, "empty": 0o755, "down": 0o755} {
		if err := os.MkdirAll(s.file(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(s.file(dir), mode); err != nil {
			t.Fatal(err)
		}
	}
	config := append([]string{
		"listen=NO", "listen_ipv6=YES", "background=NO", "anonymous_enable=YES", "local_enable=NO", "write_enable=YES", "anon_upload_enable=YES",
		"anon_mkdir_write_enable=YES", "anon_other_write_enable=YES", "anon_umask=022", "ascii_download_enable=YES", "ascii_upload_enable=YES",
		"anon_root=" + s.file("root"), "secure_chroot_dir=" + s.file("empty"), "xferlog_enable=NO", "connect_from_port_20=YES",
	}, options...)
	s.write(t, "vsftpd.conf", []byte(strings.Join(config, "\n")+"\n"))
	start(t, s.server.Command(t.Context(), vsftpd, s.file("vsftpd.conf")))
	waitFor(t, "vsftpd", func() bool {
		return s.client.Command(t.Context(), testkit.Need(t, "curl"), "-s", "-k", "--ssl", s.url("")).Run() == nil
	})
	return s
}

func (s *ftpSite) url(path string) string {
	return s.scheme + "://" + s.server.IPv4.String() + "/" + path
}

// visit gets, puts and lists with curl and lftp.
func (s *ftpSite) visit(t *testing.T) {
	t.Helper()
	six := "ftp://[" + s.server.IPv6.String() + "]/"
	for _, args := range [][]string{
		{s.url("pub/big.bin"), s.url("pub/readme.txt")},
		{"--disable-epsv", s.url("pub/big.bin")},
		{"--ftp-port", "-", s.url("pub/big.bin")},
		{"--ftp-port", "-", "--disable-eprt", s.url("pub/two%20words.txt")},
		{"-g", six + "pub/big.bin"},
		{"-g", "--ftp-port", "-", six + "pub/big.bin"},
		{"--range", "1000-", s.url("pub/big.bin")},
		{"--use-ascii", s.url("pub/readme.txt")},
		{s.url("pub/")},
		{"--list-only", "--ftp-method", "nocwd", s.url("pub/")},
		{"--head", s.url("pub/big.bin")},
		{"-T", s.file("up.bin"), "-Q", "-RNFR up.bin", "-Q", "-RNTO two.bin", s.url("in/")},
		{"-T", s.file("up.bin"), "--append", s.url("in/two.bin")},
		{"--ftp-create-dirs", "-T", s.file("up.bin"), "-Q", "-DELE up.bin", "-Q", "-CDUP", "-Q", "-RMD new", s.url("in/new/")},
	} {
		s.ftp(t, "curl", append([]string{"-sS", "--max-time", "30", "-o", os.DevNull, "-o", os.DevNull, "--user", "anonymous:open-sesame"}, args...)...)
	}
	s.lftp(t, "")
	s.lftp(t, "set ftp:passive-mode no;")
	// The server has nothing of that name, and nobody of this one.
	for _, args := range [][]string{{s.url("pub/missing")}, {"--user", "nobody:open-sesame", s.url("")}} {
		if s.client.Command(t.Context(), testkit.Need(t, "curl"), append([]string{"-s", "--max-time", "30"}, args...)...).Run() == nil {
			t.Fatalf("%q: no error", args)
		}
	}
}

func (s *ftpSite) lftp(t *testing.T, set string) {
	t.Helper()
	s.ftp(t, "lftp", "-u", "anonymous,open-sesame", "-e", "set ftp:ssl-allow no;"+set+"set xfer:clobber yes; lcd "+s.file("down")+
		"; cd pub; pwd; ls; get big.bin; mget *.txt; cd ../in; put "+s.file("up.bin")+"; rm up.bin; quit", strings.TrimSuffix(s.url(""), "/")) // a path would have it connect before it is told how
}

func (s *ftpSite) ftp(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := s.client.Command(t.Context(), testkit.Need(t, program), args...)
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "SSLKEYLOGFILE="+s.keyLog)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", program, args, err, out)
	}
}

// tsharkFTP returns what tshark tells of control connections, and the commands of data connections by their ports.
func tsharkFTP(t *testing.T, tshark, file string) (dialogues []dialogue, transfers map[string]string) {
	t.Helper()
	fields := func(filter string, names ...string) (rows [][]string) {
		args := []string{"-r", file, "-o", "tcp.reassemble_out_of_order:TRUE", "-Y", filter, "-T", "fields"}
		for _, name := range names {
			args = append(args, "-e", name)
		}
		out, err := exec.Command(tshark, args...).Output()
		if err != nil {
			t.Fatalf("tshark: %v", err)
		}
		for line := range strings.Lines(string(out)) {
			rows = append(rows, strings.Split(strings.TrimRight(line, "\n"), "\t"))
		}
		return rows
	}
	by := map[string]*dialogue{}
	for _, row := range fields("ftp", "tcp.stream", "ftp.request.command", "ftp.request.arg", "ftp.response.code") {
		d := by[row[0]]
		if d == nil {
			d = &dialogue{}
			by[row[0]] = d
		}
		if command := row[1]; command != "" {
			argument := row[2]
			if command == "PASS" {
				argument = ""
			}
			d.Commands = append(d.Commands, strings.TrimSpace(command+" "+argument))
		}
		if row[3] != "" {
			d.Codes = append(d.Codes, strings.Split(row[3], ",")...)
		}
	}
	transfers = map[string]string{}
	for _, row := range fields("ftp-data", "tcp.srcport", "tcp.dstport", "ftp-data.command") {
		ports := row[:2]
		slices.Sort(ports)
		transfers[strings.Join(ports, " ")] = row[2]
	}
	for _, d := range by {
		dialogues = append(dialogues, *d)
	}
	return sortedDialogues(dialogues), transfers
}

// code begins a reply, or ends one of several lines.
var code = regexp.MustCompile(`^[1-6][0-9][0-9][ -]`)

// vitrineFTP returns the same from events, and how often content was transferred by its SHA-256.
func vitrineFTP(t *testing.T, lines string) (dialogues []dialogue, transfers map[string]string, hashes map[string]int) {
	t.Helper()
	by := map[string]*dialogue{}
	transfers, hashes = map[string]string{}, map[string]int{}
	for _, o := range objects(t, lines) {
		if o["kind"] == "anomaly" {
			t.Errorf("an anomaly: %v", o["anomaly"])
		}
		id := o["conn_id"].(string)
		if f, ok := o["ftp"].(map[string]any); ok {
			if by[id] == nil {
				by[id] = &dialogue{}
			}
			d := by[id]
			if command := text(f["command"]); command != "" {
				d.Commands = append(d.Commands, strings.TrimSpace(command+" "+text(f["argument"])))
			}
			replies, _ := f["reply"].([]any)
			for _, line := range replies {
				if code.MatchString(line.(string)) {
					d.Codes = append(d.Codes, line.(string)[:3])
				}
			}
		}
		if f, ok := o["ftp_data"].(map[string]any); ok {
			if by[text(f["control_id"])] == nil {
				t.Errorf("a transfer of an unknown connection: %v", f)
			}
			ports := []string{port(o["client"]), port(o["server"])}
			slices.Sort(ports)
			if f["size"] != nil {
				transfers[strings.Join(ports, " ")] = strings.TrimSpace(text(f["command"]) + " " + text(f["name"]))
				hashes[text(f["sha256"])]++
			}
		}
	}
	for _, d := range by {
		dialogues = append(dialogues, *d)
	}
	return sortedDialogues(dialogues), transfers, hashes
}

// tsharkFTPHashes counts what tshark restores of data connections, by SHA-256.
func tsharkFTPHashes(t *testing.T, tshark string, s *ftpSite, file string) map[string]int {
	t.Helper()
	folder := s.file("objects")
	if out, err := exec.Command(tshark, "-r", file, "-o", "tcp.reassemble_out_of_order:TRUE", "-q", "--export-objects", "ftp-data,"+folder).CombinedOutput(); err != nil {
		t.Fatalf("tshark: %v: %s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	hashes := map[string]int{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		hashes[hash(b)]++
	}
	return hashes
}

// sortedDialogues brings connections into an order that both tools can have.
func sortedDialogues(all []dialogue) []dialogue {
	slices.SortFunc(all, func(a, b dialogue) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return all
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func port(endpoint any) string { return fmt.Sprint(endpoint.(map[string]any)["port"]) }
