package web

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
)

// static serves the files of the console, compressed where the browser takes that. Nothing else goes through it: what is
// secret must not be compressed together with what a stranger wrote, since the size of the whole would tell of the secret.
type static struct {
	tags  map[string]string // ETag of each file
	files http.Handler
}

func newStatic(files fs.FS) (*static, error) {
	s := &static{tags: map[string]string{}}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		// Weak (RFC 9110 §8.8.1): it stands for the content, in whatever encoding it is sent.
		s.tags[name] = `W/"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read console: %w", err)
	}
	compressed, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false), gzhttp.CompressionLevel(gzip.BestCompression), gzhttp.ContentTypeFilter(isText))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	s.files = compressed(http.FileServerFS(files))
	return s, nil
}

// isText reports whether files of a media type become smaller.
func isText(mediaType string) bool {
	return strings.HasPrefix(mediaType, "text/") || strings.HasPrefix(mediaType, "application/json") || strings.HasPrefix(mediaType, "image/svg+xml")
}

func (s *static) has(name string) bool { return s.tags[name] != "" }

// serve answers with a file that there is.
func (s *static) serve(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	h.Set("ETag", s.tags[name])
	if strings.HasPrefix(name, "assets/") { // their names hold a hash of what is in them
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache") // ask each time whether it is another one
	}
	s.files.ServeHTTP(w, r)
}
