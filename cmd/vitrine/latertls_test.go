package main_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// TestFTPSIsOpened has curl and lftp transfer files with vsftpd over TLS that is asked for (AUTH TLS) or there from the beginning, in data
// connections that either side opens, and finds all of it in the events.
func TestFTPSIsOpened(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		scheme  string
		options []string
		login   []string
	}{
		"explicit": {"ftp", nil, []string{"AUTH SSL", "USER anonymous", "PASS", "PBSZ 0", "PROT P", "PWD"}},
		"implicit": {"ftps", []string{"implicit_ssl=YES", "listen_port=990"}, []string{"USER anonymous", "PASS", "PBSZ 0", "PROT P", "PWD"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cert, key := dir+"/cert.pem", dir+"/key.pem"
			certificate(t, cert, key)
			site := newFTPSite(t, tt.scheme, append(tt.options, "ssl_enable=YES", "allow_anon_ssl=YES", "require_ssl_reuse=NO", "ssl_ciphers=HIGH",
				"rsa_cert_file="+cert, "rsa_private_key_file="+key)...)
			stop := capturePackets(t, site.server, site.file("traffic.pcapng"))
			for _, args := range [][]string{{site.url("pub/big.bin")}, {"-T", site.file("up.bin"), site.url("in/")}} {
				site.ftp(t, "curl", append([]string{"-sS", "-k", "--ssl-reqd", "--max-time", "30", "-o", os.DevNull, "--user", "anonymous:open-sesame"}, args...)...)
			}
			site.lftp(t, "set ftp:ssl-allow yes; set ftp:ssl-force yes; set ssl:verify-certificate no; set ftp:passive-mode no;")
			stop()
			site.checkSecured(t, tt.login)
		})
	}
}

// checkSecured compares the events of the capture with what curl and lftp did.
func (s *ftpSite) checkSecured(t *testing.T, login []string) {
	t.Helper()
	r := runVitrine(t, nil, "replay", "--keylog", s.keyLog, "-o", "json", s.file("traffic.pcapng"))
	if r.status != 0 || r.stderr != "" || strings.Contains(r.stdout, "open-sesame") {
		t.Fatalf("%+v", r)
	}
	dialogues, transfers, hashes := vitrineFTP(t, r.stdout)
	var curls [][]string
	for _, d := range dialogues {
		if slices.Contains(d.Commands, "EPSV") {
			curls = append(curls, d.Commands)
		}
	}
	want := [][]string{
		append(slices.Clone(login), "CWD in", "EPSV", "TYPE I", "STOR up.bin", "QUIT"),
		append(slices.Clone(login), "CWD pub", "EPSV", "TYPE I", "SIZE big.bin", "RETR big.bin", "QUIT"),
	}
	if diff := gocmp.Diff(want, curls); diff != "" {
		t.Errorf("commands: -curl +vitrine:\n%s", diff)
	}
	if got := fmt.Sprint(slices.Sorted(maps.Values(transfers))); got != "[LIST RETR big.bin RETR big.bin RETR readme.txt RETR two words.txt STOR up.bin STOR up.bin]" {
		t.Errorf("transfers: %s", got)
	}
	for name, times := range map[string]int{"root/pub/big.bin": 2, "up.bin": 2} {
		content, err := os.ReadFile(s.file(name))
		if err != nil {
			t.Fatal(err)
		}
		if n := hashes[hash(content)]; n != times {
			t.Errorf("%s was seen %d times, want %d", name, n, times)
		}
	}
	for _, o := range objects(t, r.stdout) {
		if o["kind"] == "tls" && o["decrypted"] != "yes" {
			t.Errorf("not decrypted: %v %v", o["server"], o["reason"])
		}
	}
}

// TestProxiedTLSIsOpened has curl reach nginx through a proxy's CONNECT, and compares what tshark and Vitrine make of it.
func TestProxiedTLSIsOpened(t *testing.T) {
	tshark := testkit.Need(t, "tshark")
	shop := newShop(t)
	var listener net.Listener
	var err error
	shop.server.Do(t, func() { listener, err = net.Listen("tcp", "198.18.0.2:3128") })
	if err != nil {
		t.Fatal(err)
	}
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := tunnel(w, r, func() (c net.Conn, err error) {
			shop.server.Do(t, func() { c, err = net.Dial("tcp", "198.18.0.2:443") })
			return c, err
		}); err != nil {
			t.Error(err)
		}
	})}
	go proxy.Serve(listener)
	defer proxy.Close()

	stop := capturePackets(t, shop.server, shop.file("traffic.pcapng"))
	for _, version := range []string{"1.2", "1.3"} {
		for _, protocol := range []string{"1.1", "2"} {
			how := []string{"--proxy", "http://198.18.0.2:3128", "--tlsv" + version, "--tls-max", version, "--http" + protocol}
			shop.curl(t, append(how, "https://shop.example/x.json", "-o", os.DevNull, "https://shop.example/big.bin")...)
		}
	}
	stop()
	want := tsharkTransactions(t, tshark, shop)
	if len(want) != 4+8 {
		t.Fatalf("tshark saw %d transactions, want 12", len(want))
	}
	for i := range want {
		want[i].Host = strings.TrimSuffix(want[i].Host, ":443")
	}
	got, bodies := replayTransactions(t, shop)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("transactions: -tshark +vitrine:\n%s", diff)
	}
	big, err := os.ReadFile(shop.file("www/big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bodies[hash(big)]; n != 4 {
		t.Errorf("big.bin was seen %d times, want 4", n)
	}
}

// tunnel answers CONNECT, and copies bytes both ways until the client has none.
func tunnel(w http.ResponseWriter, r *http.Request, dial func() (net.Conn, error)) error {
	if r.Method != http.MethodConnect {
		return fmt.Errorf("the client wants %s", r.Method)
	}
	to, err := dial()
	if err != nil {
		return err
	}
	defer to.Close()
	from, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return err
	}
	go io.Copy(from, to)
	_, err = io.Copy(to, from)
	return err
}
