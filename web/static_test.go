package web

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/gzip"
)

func staticFiles() fstest.MapFS {
	noise := make([]byte, 4096)
	rand.Read(noise)
	return fstest.MapFS{
		"index.html":         {Data: []byte(strings.Repeat("<p>__CSP_NONCE__</p>", 200))},
		"assets/app-1.js":    {Data: []byte(strings.Repeat("export const a = 1;\n", 500))},
		"assets/small-1.css": {Data: []byte("a{}")},
		"assets/font-1.woff": {Data: noise},
		"favicon.svg":        {Data: []byte("<svg>" + strings.Repeat("<g/>", 1000) + "</svg>")},
	}
}

// ask sends a GET with headers given as pairs.
func ask(t *testing.T, h http.Handler, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func decoded(t *testing.T, r *http.Response) []byte {
	t.Helper()
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		body = unzip
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFilesAreCompressed(t *testing.T) {
	files := staticFiles()
	h, err := handler(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, path, accept, want string }{
		{"a browser of today", "/assets/app-1.js", "gzip, deflate, br, zstd", "gzip"},
		{"a proxy that refuses it", "/assets/app-1.js", "gzip;q=0", ""},
		{"a program", "/assets/app-1.js", "", ""},
		{"an icon", "/favicon.svg", "gzip", "gzip"},
		{"too little to gain", "/assets/small-1.css", "gzip", ""},
		{"nothing to gain", "/assets/font-1.woff", "gzip", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := ask(t, h, tc.path, "Accept-Encoding", tc.accept)
			if got := r.Header.Get("Content-Encoding"); got != tc.want {
				t.Errorf("encoding %q, want %q", got, tc.want)
			}
			if !strings.Contains(r.Header.Get("Vary"), "Accept-Encoding") {
				t.Errorf("a cache may mix up encodings: %v", r.Header)
			}
			if !bytes.Equal(decoded(t, r), files[tc.path[1:]].Data) {
				t.Error("the content is another one")
			}
		})
	}
	if r := ask(t, h, "/logs", "Accept-Encoding", "gzip, zstd"); r.Header.Get("Content-Encoding") != "" {
		t.Errorf("a page, which has a nonce, is compressed: %v", r.Header)
	}
}

func TestFilesAreCached(t *testing.T) {
	files := staticFiles()
	h, err := handler(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/assets/app-1.js", "/favicon.svg"} {
		plain, zipped := ask(t, h, path), ask(t, h, path, "Accept-Encoding", "gzip")
		tag := zipped.Header.Get("ETag")
		if tag == "" || tag != plain.Header.Get("ETag") || !strings.HasPrefix(tag, "W/") {
			t.Errorf("%s: ETag %q, uncompressed %q: want one weak tag", path, tag, plain.Header.Get("ETag"))
		}
		for _, accept := range []string{"", "gzip"} {
			r := ask(t, h, path, "Accept-Encoding", accept, "If-None-Match", tag)
			if body := decoded(t, &http.Response{Body: r.Body, Header: http.Header{}}); r.StatusCode != 304 || len(body) > 0 || r.Header.Get("ETag") != tag {
				t.Errorf("%s, accepting %q: the known file is answered %d with %d bytes", path, accept, r.StatusCode, len(body))
			}
		}
		files[path[1:]] = &fstest.MapFile{Data: []byte("another version")}
		next, err := handler(files)
		if err != nil {
			t.Fatal(err)
		}
		if r := ask(t, next, path, "If-None-Match", tag); r.StatusCode != 200 {
			t.Errorf("%s: another version is answered %d", path, r.StatusCode)
		}
	}
	if got := ask(t, h, "/favicon.svg").Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("a file whose name stays is kept: %q", got)
	}
}

func TestPartsOfFilesAreNotCompressed(t *testing.T) {
	h, err := handler(staticFiles())
	if err != nil {
		t.Fatal(err)
	}
	r := ask(t, h, "/assets/app-1.js", "Accept-Encoding", "gzip", "Range", "bytes=0-5")
	if b := decoded(t, r); r.StatusCode != 206 || r.Header.Get("Content-Encoding") != "" || string(b) != "export" {
		t.Errorf("got %d %q %v", r.StatusCode, b, r.Header)
	}
}
