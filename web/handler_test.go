package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func TestHandler(t *testing.T) {
	files := fstest.MapFS{
		"index.html":       {Data: []byte(`<meta name="csp-nonce" content="__CSP_NONCE__">`)},
		"assets/app-1.js":  {Data: []byte("1")},
		"favicon.svg":      {Data: []byte("<svg/>")},
		"assets/index.css": {Data: []byte("a{}")},
	}
	h, err := handler(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, path string
		status             int
		page, cached       bool
	}{
		{"the first page", "GET", "/", 200, true, false},
		{"a page of the router", "GET", "/logs", 200, true, false},
		{"the page by its file name", "GET", "/index.html", 200, true, false},
		{"a path that climbs", "GET", "/../../etc/passwd", 200, true, false},
		{"a folder", "GET", "/assets", 200, true, false},
		{"a script", "GET", "/assets/app-1.js", 200, false, true},
		{"an icon", "GET", "/favicon.svg", 200, false, false},
		{"a script of another version", "GET", "/assets/app-0.js", 404, false, false},
		{"a method that changes", "POST", "/", 405, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/", nil)
			r.URL.Path = tt.path
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			if csp := w.Header().Get("Content-Security-Policy"); (csp != "") != tt.page {
				t.Errorf("policy %q, want one: %t", csp, tt.page)
			}
			if cc := w.Header().Get("Cache-Control"); strings.Contains(cc, "immutable") != tt.cached {
				t.Errorf("cache control %q, want for ever: %t", cc, tt.cached)
			}
		})
	}
}

func TestNonceIsFreshAndInThePage(t *testing.T) {
	h, err := handler(fstest.MapFS{"index.html": {Data: []byte("nonce=__CSP_NONCE__;")}})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 3 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		_, rest, _ := strings.Cut(w.Body.String(), "nonce=")
		nonce, _, _ := strings.Cut(rest, ";")
		if len(nonce) < 20 || seen[nonce] {
			t.Errorf("nonce %q is short or was used before", nonce)
		}
		seen[nonce] = true
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "'nonce-"+nonce+"'") {
			t.Errorf("policy %q lacks the nonce %q of the page", csp, nonce)
		}
	}
}

func TestDistHasAPage(t *testing.T) {
	if _, err := Handler(); err != nil {
		t.Error(err)
	}
}
