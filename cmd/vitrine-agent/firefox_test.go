package main_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// firefoxSettings have Firefox resolve names at the site, use what its HTTPS records say, QUIC too although it finds added roots, give that
// time before it takes TCP, as a busy machine needs, and ask nobody else for anything.
const firefoxSettings = `user_pref("network.trr.mode", 3);
user_pref("network.trr.uri", "https://` + resolver + `/dns-query");
user_pref("network.trr.useGET", false);
user_pref("network.dns.echconfig.enabled", true);
user_pref("network.http.http3.disable_when_third_party_roots_found", false);
user_pref("network.dns.httpssvc.http3_fast_fallback_timeout", 2000);
` + testkit.QuietFirefox

// firefox is a site that Firefox is to load pages of.
type firefox struct {
	*web
	visits chan string
}

func newFirefox(t *testing.T) *firefox {
	t.Helper()
	return &firefox{newWeb(t), make(chan string, 100)}
}

// ServeHTTP notes how a page was asked for.
func (f *firefox) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	f.visits <- fmt.Sprintf("%s %s ech=%t", r.URL.Path, r.Proto, r.TLS.ECHAccepted)
}

// visit opens a page until the site was asked in the way wanted and enough says so. Like Chromium, Firefox waits for DNS records and for
// QUIC only so long.
func (f *firefox) visit(t *testing.T, path, want string, enough func() bool) {
	t.Helper()
	var got []string
	for range tries {
		visits, came := f.open(t, path, path+" "+want, enough)
		if came {
			return
		}
		got = append(got, visits)
	}
	t.Fatalf("it came by %q, want %q", got, path+" "+want)
}

// open opens a page in a new profile, which trusts the site's authority and the gateway's, until the site was asked for it. It returns how,
// and whether that is what is wanted; or what Firefox says if it did not come.
func (f *firefox) open(t *testing.T, path, want string, enough func() bool) (got string, came bool) {
	t.Helper()
	b := &browser{f.web, t.TempDir()}
	b.run(t, "certutil", "-N", "-d", "sql:"+b.home, "--empty-password")
	for name, file := range map[string]string{"public": "public.pem", "gateway": "ca.pem"} {
		b.run(t, "certutil", "-A", "-d", "sql:"+b.home, "-n", name, "-t", "C,,", "-i", filepath.Join(f.dir, file))
	}
	check(t, os.WriteFile(filepath.Join(b.home, "user.js"), []byte(firefoxSettings), 0o600))
	cmd := f.client.Command(t.Context(), testkit.Need(t, "firefox-esr"), "--headless", "--no-remote", "--profile", b.home, "https://"+siteName+path)
	cmd.Env = append(os.Environ(), "HOME="+b.home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, time.Second
	check(t, cmd.Start())
	end := func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		for begun := time.Now(); os.RemoveAll(b.home) != nil && time.Since(begun) < 10*time.Second; { // its children may write to the last
			time.Sleep(20 * time.Millisecond)
		}
	}
	for timeout := time.After(30 * time.Second); ; {
		select {
		case got = <-f.visits:
			if !strings.HasPrefix(got, path+" ") {
				continue // the page's icon
			}
		case <-timeout:
			end()
			return said.String(), false
		}
		for begun := time.Now(); got == want && time.Since(begun) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
			if came = enough(); came {
				break
			}
		}
		end()
		return got, came
	}
}

func always() bool { return true }

// TestFirefoxECH has Firefox hide the site's name, as TestChromiumECH has Chromium.
func TestFirefoxECH(t *testing.T) {
	f := newFirefox(t)
	f.handle(t, f.listen(t, siteIP+":443"), &tls.Config{EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{{Config: f.ech, PrivateKey: f.echKey.Bytes()}}}, f)
	f.visit(t, "/before", "HTTP/2.0 ech=true", always)
	g := f.start(t)
	f.visit(t, "/seen", "HTTP/2.0 ech=false", func() bool { return strings.Contains(g.stdout.String(), string(flow.EncryptedHello)) })
	wantHelloRejected(t, g.end(t))
}

// TestFirefoxQUIC has Firefox load a page of a site whose DNS record offers HTTP/3. Without the gateway it comes by QUIC; with it, QUIC is
// refused, and Firefox takes TCP.
func TestFirefoxQUIC(t *testing.T) {
	f := newFirefox(t)
	f.ech, f.quic = nil, true
	f.handle(t, f.listen(t, siteIP+":443"), &tls.Config{}, f)
	f.serveQUIC(t, f)
	f.visit(t, "/before", "HTTP/3.0 ech=false", always)
	before := f.refusals(t)
	g := f.start(t)
	f.visit(t, "/seen", "HTTP/2.0 ech=false", func() bool { return f.refusals(t) != before })
	wantSeen(t, g.end(t))
}
