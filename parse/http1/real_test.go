package http1

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/parse/parsetest"
)

// real is a server and a client of the standard library, whose connections are recorded.
type real struct {
	client   *http.Client
	url      string
	recorder parsetest.Recorder
}

func newReal(t *testing.T) *real {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(handle))
	t.Cleanup(server.Close)
	r := &real{url: server.URL}
	transport := &http.Transport{
		DisableCompression: true, ExpectContinueTimeout: 5 * time.Second,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return r.recorder.Conn(conn), nil
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	r.client = &http.Client{Transport: transport}
	return r
}

// events returns what the parser makes of all connections.
func (r *real) events(t *testing.T) (https []*event.HTTP, files []*event.File, anomalies []string) {
	t.Helper()
	for _, steps := range r.recorder.Conversations() {
		for _, b := range parsetest.Bodies(t, steps, Protocol) {
			switch b := b.(type) {
			case *event.HTTP:
				https = append(https, b)
			case *event.File:
				files = append(files, b)
			case *event.Anomaly:
				anomalies = append(anomalies, b.Code)
			}
		}
	}
	return https, files, anomalies
}

// handle answers by the path of the request.
func handle(w http.ResponseWriter, r *http.Request) {
	body := strings.Repeat("some content that is sent to the client. ", 5000)
	switch r.URL.Path {
	case "/plain":
		io.WriteString(w, "plain")
	case "/chunked":
		for i := range 10 {
			io.WriteString(w, body[i*1000:(i+1)*1000])
			w.(http.Flusher).Flush()
		}
	case "/trailer":
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "before the trailer")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "42")
	case "/gzip":
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, body)
		z.Close()
	case "/br":
		w.Header().Set("Content-Encoding", "br")
		z := brotli.NewWriter(w)
		io.WriteString(z, body)
		z.Close()
	case "/hints":
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "after the hints")
	case "/none":
		w.WriteHeader(http.StatusNoContent)
	case "/not_modified":
		w.WriteHeader(http.StatusNotModified)
	case "/close":
		w.Header().Set("Connection", "close")
		io.WriteString(w, "the last one")
	case "/abort":
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	default:
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "got %d", n)
	}
}

// TestRealPeers compares what the parser saw with what net/http's client and server said to each other.
func TestRealPeers(t *testing.T) {
	form := new(bytes.Buffer)
	parts := multipart.NewWriter(form)
	parts.WriteField("field", "value")
	file, _ := parts.CreateFormFile("file", "report \"final\".pdf")
	io.WriteString(file, "%PDF-1.7 and more\r\n--\r\n")
	parts.Close()

	type request struct {
		method, path, body, contentType string
		expect                          bool
	}
	requests := []request{
		{"GET", "/plain", "", "", false}, {"HEAD", "/plain", "", "", false}, {"GET", "/chunked", "", "", false}, {"GET", "/trailer", "", "", false},
		{"GET", "/gzip", "", "", false}, {"GET", "/br", "", "", false}, {"HEAD", "/br", "", "", false}, {"GET", "/hints", "", "", false},
		{"GET", "/none", "", "", false}, {"GET", "/not_modified", "", "", false}, {"POST", "/upload", strings.Repeat("x", 300_000), "text/plain", false},
		{"POST", "/expected", "a small one", "text/plain", true}, {"POST", "/form", form.String(), parts.FormDataContentType(), false},
		{"POST", "/login", "user=a&password=b", "application/x-www-form-urlencoded", false}, {"GET", "/close", "", "", false}, {"GET", "/plain", "", "", false},
	}
	type seen struct {
		Method, URL    string
		Status         uint16
		State          event.State
		Sent, Received string // hashes
		Trailers       []string
	}
	r := newReal(t)
	var want []seen
	for _, q := range requests {
		var body io.Reader
		if q.body != "" {
			body = struct{ io.Reader }{strings.NewReader(q.body)} // of unknown length: chunked
			if q.path != "/upload" {
				body = strings.NewReader(q.body)
			}
		}
		req, err := http.NewRequest(q.method, r.url+q.path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", q.contentType)
		if q.expect {
			req.Header.Set("Expect", "100-continue")
		}
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(decoded(t, res))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		s := seen{q.method, q.path, uint16(res.StatusCode), event.Complete, hash(q.body), hash(string(got)), nil}
		for name, values := range res.Trailer {
			s.Trailers = append(s.Trailers, name+": "+values[0])
		}
		want = append(want, s)
	}
	https, files, anomalies := r.events(t)
	var got []seen
	for _, h := range https {
		got = append(got, seen{h.Method, h.URL, h.Status, h.State, h.Request.SHA256, h.Response.SHA256, h.Response.Trailers})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("transactions differ (-client +parser):\n%s", diff)
	}
	if len(anomalies) > 0 {
		t.Errorf("anomalies %q", anomalies)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Direction+" "+f.Name+" "+f.Type)
	}
	wantNames := []string{
		"to_client plain text/plain", "to_client chunked text/plain", "to_client trailer text/plain", "to_client gzip text/plain", "to_client br text/plain",
		"to_client hints text/plain", "to_server upload text/plain", "to_client upload text/plain", "to_server expected text/plain", "to_client expected text/plain",
		`to_server report "final".pdf application/pdf`, "to_client form text/plain", "to_client login text/plain", "to_client close text/plain", "to_client plain text/plain",
	}
	if diff := cmp.Diff(wantNames, names); diff != "" {
		t.Errorf("files differ (-want +got):\n%s", diff)
	}
}

func TestRealServerThatBreaksOff(t *testing.T) {
	r := newReal(t)
	res, err := r.client.Get(r.url + "/abort")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Fatal("the client saw no error")
	}
	https, _, _ := r.events(t)
	if len(https) != 1 || https[0].State != event.Truncated || https[0].Response.Size != 4 {
		t.Errorf("got %d transactions, the first %+v", len(https), https[0])
	}
}

func decoded(t *testing.T, res *http.Response) io.Reader {
	t.Helper()
	if res.Request.Method == http.MethodHead {
		return res.Body
	}
	switch res.Header.Get("Content-Encoding") {
	case "gzip":
		z, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return z
	case "br":
		return brotli.NewReader(res.Body)
	}
	return res.Body
}

// hash is empty for no body, as in events.
func hash(body string) string {
	if body == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}
