package main_test

import (
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

// record is what the program tells to put into DNS.
var record = regexp.MustCompile(`(?m)^www\.example\. 300 IN HTTPS 1 \. alpn=h2,http/1\.1 ech=([A-Za-z0-9+/=]+)$`)

// makeECHKey has the program make a key in the folder, and returns its ECHConfigList.
func makeECHKey(t *testing.T, agent, dir string) []byte {
	t.Helper()
	file := filepath.Join(dir, "ech.pem")
	out, errs, status := command(t, agent, "gateway", "ech", "--name", "gateway.example", "--out", file)
	found := record.FindStringSubmatch(out)
	if status != 0 || found == nil {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	list, err := base64.StdEncoding.DecodeString(found[1])
	check(t, err)
	return list
}

// TestGatewayECHCommand makes a key once, shows it again, and has the gateway take it.
func TestGatewayECHCommand(t *testing.T) {
	agent := buildProgram(t)
	dir, _ := trial(t, agent, "127.0.0.1:443", "ech: {keys: [ech.pem]}\n")
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "server.pem"), ca, 0o600))
	first := makeECHKey(t, agent, dir)
	if again := makeECHKey(t, agent, dir); string(again) != string(first) {
		t.Error("the key was made anew")
	}
	file, config := filepath.Join(dir, "ech.pem"), filepath.Join(dir, "gateway.yaml")
	if _, errs, status := command(t, agent, "gateway", "ech", "--name", "other.example", "--out", file); status != 1 || !strings.Contains(errs, "is there already, for gateway.example") {
		t.Errorf("another name: status %d, %s", status, errs)
	}
	if out, errs, status := command(t, agent, "gateway", "--config", config, "--check-config"); status != 0 || !strings.Contains(out, "encrypted to gateway.example are opened") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	check(t, os.Chmod(file, 0o640))
	if out, errs, status := command(t, agent, "gateway", "--config", config, "--check-config"); status != 2 || !strings.Contains(errs, "can be read by others (mode 0640)") {
		t.Errorf("open to others: status %d: %s%s", status, out, errs)
	}
}

// TestChromiumOwnECH has Chromium encrypt its hello to the gateway, whose key it learns from the site's DNS record; or from the gateway, where DNS
// has the site's own key. The name inside is seen, and the page is looked into without a hello in the open.
func TestChromiumOwnECH(t *testing.T) {
	for _, from := range []string{"DNS", "the gateway"} {
		t.Run("learnt from "+from, func(t *testing.T) {
			w := newWeb(t)
			own := makeECHKey(t, w.agent, w.dir)
			if from == "DNS" {
				w.ech = own[2:]
			}
			config := filepath.Join(w.dir, "gateway.yaml")
			text, err := os.ReadFile(config)
			check(t, err)
			check(t, os.WriteFile(config, append(text, "ech: {keys: [ech.pem]}\n"...), 0o600))
			w.handle(t, w.listen(t, siteIP+":443"), &tls.Config{}, http.HandlerFunc(page))
			b, g := w.browser(t), w.start(t)
			opened := func() bool { return strings.Contains(g.stdout.String(), `"outer_sni":"gateway.example"`) }
			for i := 0; i < tries && !opened(); i++ {
				if got := b.open(t, "https://"+siteName+"/seen"); !strings.HasPrefix(got, "proto=HTTP/2.0 ") {
					t.Fatalf("Chromium shows %q", got)
				}
			}
			printed, seen, rejected := g.end(t), 0, 0
			for _, r := range records(t, printed) {
				switch {
				case r.Kind == event.KindHTTP && r.HTTP.URL == "/seen" && r.TLS.OuterSNI == "gateway.example" && r.TLS.SNI == siteName && r.Decryption.State == flow.DecryptedYes:
					seen++
				case r.Kind == event.KindTLS && r.Decryption.Reason == flow.EncryptedHello && r.TLS.SNI == outerName:
					rejected++
				case r.Kind == event.KindTLS && r.Decryption.State == flow.DecryptedNo:
					t.Errorf("not decrypted: %+v, %+v", r.Decryption, r.TLS)
				}
			}
			if seen == 0 || (rejected > 0) != (from == "the gateway") {
				t.Errorf("told %d requests and %d rejected hellos: %s", seen, rejected, printed)
			}
		})
	}
}
