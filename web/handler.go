package web

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// noncePlaceholder stands in index.html where the nonce of the answer goes.
const noncePlaceholder = "__CSP_NONCE__"

// policy is the Content-Security-Policy of every page. Scripts come from files only. Ant Design and the search box write
// their style sheets at run time: these carry the nonce. Images are files or blobs that the console itself made of a body.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-%s'; img-src 'self' blob: data:; font-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// Handler serves the console. Every path that is no file of it is a page of the console, whose own router shows it.
func Handler() (http.Handler, error) { return handler(Dist()) }

func handler(files fs.FS) (http.Handler, error) {
	index, err := fs.ReadFile(files, "index.html")
	if err != nil {
		return nil, fmt.Errorf("read console: %w", err)
	}
	static, err := newStatic(files)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if static.has(name) && name != "index.html" {
			static.serve(w, r, name)
			return
		}
		if strings.HasPrefix(name, "assets/") { // of another version: a page in its place would be a riddle
			http.NotFound(w, r)
			return
		}
		nonce := rand.Text()
		h.Set("Content-Security-Policy", fmt.Sprintf(policy, nonce))
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(bytes.ReplaceAll(index, []byte(noncePlaceholder), []byte(nonce))) // the browser has gone
	}), nil
}
