package gateway_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// TestAnnouncedQUIC has curl ask, several times in one connection, a server that announces HTTP/3 with every answer. The client does not learn
// of it where its scope refuses QUIC, whether requests are judged or not; events have what the server said.
func TestAnnouncedQUIC(t *testing.T) {
	const announced = `add_header Alt-Svc 'h3=":443"; ma=86400' always; add_header Alt-Svc 'h2="alt.example:443", h3=":443"; ma=60'; add_header X-After here;`
	for name, rules := range map[string]string{"passed": "rules: []", "judged": uploadRules} {
		for version, flag := range map[string]string{"1.1": "--http1.1", "2": "--http2"} {
			for _, allowed := range []bool{false, true} {
				w := judging(t, rules)
				policies := inspectAll(policy.Cases{})
				policies.Policies[0].Scopes[0].AllowQUIC = allowed
				table, err := policy.Compile(policies)
				check(t, err)
				check(t, w.SetRules(table))
				u := &uploads{address: startNginx(t, issue(t, w.public, newECDSA(t), forShop), "http2; "+announced)}
				ca, _ := w.private.files(t, t.TempDir())
				out, _ := w.curl(t, u, ca, "", flag, "-i", "ORIGIN/a", "ORIGIN/b", "ORIGIN/c")
				answers := strings.Count(out, "fine [200 "+version+"]")
				h3, others, after := strings.Count(out, "h3="), strings.Count(out, `h2="alt.example:443"`), strings.Count(strings.ToLower(out), "x-after: here")
				if want := map[bool]int{true: 6}[allowed]; answers != 3 || h3 != want || others != 3 || after != 3 {
					t.Errorf("%s, HTTP/%s, QUIC allowed: %t: curl sees %s", name, version, allowed, out)
				}
				for range 3 {
					r := w.await(t, "a request", func(r *event.Record) bool { return r.Kind == event.KindHTTP })
					if lines := strings.Join(r.HTTP.Response.Headers, "\n"); strings.Count(lines, "h3=") != 2 {
						t.Errorf("%s, HTTP/%s: told %q", name, version, lines)
					}
				}
			}
		}
	}
}

// TestAnnouncedWhileItFlows checks that the body of an answer with an announcement is not kept back: the server waits until the client has
// got what there is.
func TestAnnouncedWhileItFlows(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		w := newWorld(t, options{rules: inspectAll(policy.Cases{})})
		got := make(chan bool)
		l := listen(t)
		s := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Alt-Svc", `h3=":443"`)
			for _, part := range []string{"Alt-Svc: h3\r\n", "alt"} { // which may look like a line that begins
				_, _ = rw.Write([]byte(part))
				_ = http.NewResponseController(rw).Flush()
				select {
				case <-got:
				case <-time.After(patience):
				}
			}
		})}
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{issue(t, w.public, newECDSA(t), forShop).tls()}}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = s.ServeTLS(l, "", "")
		}()
		cfg := w.client()
		cfg.NextProtos = []string{protocol}
		transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: w.proxy}), TLSClientConfig: cfg, ForceAttemptHTTP2: protocol == "h2"}
		resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + l.Addr().String())
		check(t, err)
		if a := resp.Header["Alt-Svc"]; len(a) > 0 {
			t.Errorf("%s: the client learns of %q", protocol, a)
		}
		var parts []string
		for b := make([]byte, 100); ; {
			n, err := resp.Body.Read(b)
			if n > 0 {
				parts = append(parts, string(b[:n]))
				got <- true
			}
			if err != nil {
				break
			}
		}
		if !slices.Equal(parts, []string{"Alt-Svc: h3\r\n", "alt"}) {
			t.Errorf("%s: the client gets %q", protocol, parts)
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
		s.Close()
		<-ended
	}
}
