package server

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/server/api"
)

func TestRequestsOfOtherSitesChangeNothing(t *testing.T) {
	s := open(t, nil)
	c := s.admin()
	for _, tc := range []struct {
		name, header, value string
		want                int
	}{
		{"the console", "Sec-Fetch-Site", "same-origin", 204},
		{"a program", "", "", 204},
		{"another site", "Sec-Fetch-Site", "cross-site", 403},
		{"a neighbour of the same site", "Sec-Fetch-Site", "same-site", 403},
		{"an old browser elsewhere", "Origin", "https://evil.example", 403},
		{"an old browser here", "Origin", s.url, 204},
		{"a page without an origin", "Origin", "null", 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := c.request(http.MethodPut, "/api/v1/account/password", api.PasswordChange{Old: adminPassword, New: adminPassword})
			if tc.header != "" {
				req.Header.Set(tc.header, tc.value)
			}
			if a := c.send(req); a.status != tc.want {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}

func TestAnswersCarrySecurityHeaders(t *testing.T) {
	s := open(t, nil)
	c := s.client()
	for _, path := range []string{"/healthz", "/api/v1/session", "/api/v1/nothing", "/api/v1/openapi.json", "/metrics"} {
		h := c.do(http.MethodGet, path, nil).header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Security-Policy": apiPolicy,
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Server") != "" {
			t.Errorf("%s: %v", path, h)
		}
	}
	if a := c.do(http.MethodGet, "/logs?q=x", nil); a.body != "console" {
		t.Errorf("a page of the console: %d %s", a.status, a.body)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	s := open(t, nil)
	a := s.client().do(http.MethodPost, "/api/v1/session", api.SignIn{Username: "admin", Password: strings.Repeat("x", 2<<20)})
	if a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestPlainHTTPIsSentToHTTPS(t *testing.T) {
	s := open(t, nil)
	host := strings.TrimPrefix(s.url, "https://")
	for _, tc := range []struct{ name, request, status, location string }{
		{"a page", "GET /logs?q=a HTTP/1.1\r\nHost: " + host + "\r\n\r\n", "308", s.url + "/logs?q=a"},
		{"a password", "POST /api/v1/session HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n\r\n", "400", ""},
		{"no host", "GET / HTTP/1.0\r\n\r\n", "400", ""},
		{"a host that splits headers", "GET / HTTP/1.1\r\nHost: a\x0bb\r\n\r\n", "400", ""},
		{"another protocol", "SSH-2.0-x\r\n\r\n", "400", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
			must(t, err)
			defer conn.Close()
			must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
			_, err = conn.Write([]byte(tc.request))
			must(t, err)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			must(t, err)
			defer res.Body.Close()
			if !strings.HasPrefix(res.Status, tc.status) || res.Header.Get("Location") != tc.location {
				t.Errorf("got %s, to %q", res.Status, res.Header.Get("Location"))
			}
		})
	}
}

func TestSilentClientsDoNotHoldUpAStop(t *testing.T) {
	s := open(t, nil)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "https://"))
	must(t, err)
	defer conn.Close()
	begin := time.Now()
	t.Cleanup(func() { // runs after the server has stopped
		if took := time.Since(begin); took > 8*time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
	s.client().do(http.MethodGet, "/healthz", nil)
}
