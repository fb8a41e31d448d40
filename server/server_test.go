package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/telemetry"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/gateways"
	"github.com/vitrine-ndr/vitrine/server/imports"
	"github.com/vitrine-ndr/vitrine/state"
	"github.com/vitrine-ndr/vitrine/store"
	"github.com/vitrine-ndr/vitrine/store/query"
	"github.com/vitrine-ndr/vitrine/store/storetest"
)

var engine storetest.Engine

func TestMain(m *testing.M) {
	code := engine.Main(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

const (
	adminPassword   = "admin's password"
	analystPassword = "analyst's password"
	viewerPassword  = "viewer's password"
)

// site is a running server with its real state, reached over TLS on loopback.
type site struct {
	t     testing.TB
	srv   *Server
	state *state.DB
	tail  *tail
	url   string
	roots *x509.CertPool
}

// tail stands for the bus: what a test publishes reaches the followers.
type tail struct {
	mu     sync.Mutex
	handle func([]*event.Record)
	up     chan struct{}
}

func (b *tail) Tail(ctx context.Context, handle func([]*event.Record)) error {
	b.mu.Lock()
	b.handle = handle
	b.mu.Unlock()
	b.up <- struct{}{}
	<-ctx.Done()
	return nil
}

// publish hands over records once somebody follows.
func (b *tail) publish(records ...*event.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handle(records)
}

// noStore is the event store while its process is down: everything that needs it must say so.
type noStore struct{}

func (noStore) Search(context.Context, store.Search) (store.Page, error) {
	return store.Page{}, net.ErrClosed
}
func (noStore) Event(context.Context, event.ID) (*event.Record, error) { return nil, net.ErrClosed }
func (noStore) Histogram(context.Context, *query.Filter, time.Time, time.Time, int) (store.Histogram, error) {
	return store.Histogram{}, net.ErrClosed
}
func (noStore) Overview(context.Context, time.Time, time.Time) (store.Overview, error) {
	return store.Overview{}, net.ErrClosed
}
func (noStore) TopValues(context.Context, string, string, time.Time, int) ([]store.Value, error) {
	return nil, net.ErrClosed
}
func (noStore) Health(context.Context) (store.Health, error) { return store.Health{}, net.ErrClosed }

// onePacket keeps a single packet for one connection.
type onePacket struct{ conn flow.ID }

func (o onePacket) Read(conn flow.ID) iter.Seq2[capture.Packet, error] {
	return func(yield func(capture.Packet, error) bool) {
		if conn == o.conn {
			yield(capture.Packet{Time: time.Unix(1, 0), Link: capture.Ethernet, Length: 3, Data: []byte("pkt")}, nil)
		}
	}
}

var connID = flow.ID{7}

// open starts a server with an administrator, an analyst and a viewer. change may adjust what it is made of.
func open(t testing.TB, change func(*Config, *Deps)) *site {
	t.Helper()
	dir := t.TempDir()
	db, err := state.Open(t.Context(), state.DefaultConfig(filepath.Join(dir, "state.db")), slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	for name, u := range map[string]struct {
		role     state.Role
		password string
	}{"admin": {state.Admin, adminPassword}, "ann": {state.Analyst, analystPassword}, "vic": {state.Viewer, viewerPassword}} {
		must(t, db.CreateUser(t.Context(), state.User{Name: name, Role: u.role, Created: time.Now()}, u.password))
	}
	s := &site{t: t, state: db, tail: &tail{up: make(chan struct{}, 100)}, roots: x509.NewCertPool()}
	cfg := DefaultConfig(dir)
	cfg.Version, cfg.Grace, cfg.Imports.MinFree = "test", time.Second, 0
	deps := Deps{
		State: db, Events: noStore{}, Live: s.tail, Before: onePacket{connID}, After: onePacket{connID},
		KeyLog: func(flow.ID, iter.Seq2[capture.Packet, error]) ([]byte, error) {
			return []byte("CLIENT_RANDOM 00 11\n"), nil
		},
		Replay:  func(context.Context, imports.Job, func(imports.Progress)) error { return nil },
		Console: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "console") }),
		Roles:   func() []api.RoleOf { return []api.RoleOf{} }, Alarms: func() []api.Alarm { return []api.Alarm{} },
		Metrics: telemetry.NewRegistry(),
	}
	deps.Book, err = gateways.OpenBook(db, dir, nil)
	must(t, err)
	if change != nil {
		change(&cfg, &deps)
	}
	s.srv, err = New(cfg, deps, testkit.Logger(t, adminPassword, analystPassword, viewerPassword))
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	s.url = "https://" + ln.Addr().String()
	pem, err := os.ReadFile(filepath.Join(dir, "console.pem"))
	must(t, err)
	s.roots.AppendCertsFromPEM(pem)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.srv.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		must(t, <-done)
	})
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// client is a browser or a program that talks to a site.
type client struct {
	*site
	http  *http.Client
	token string
}

func (s *site) client() *client {
	jar, err := cookiejar.New(nil)
	must(s.t, err)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, ForceAttemptHTTP2: true}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &client{site: s, http: &http.Client{Transport: tr, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// signedIn returns a client with a session.
func (s *site) signedIn(name, password string) *client {
	c := s.client()
	if res := c.do(http.MethodPost, "/api/v1/session", api.SignIn{Username: name, Password: password}); res.status != 200 {
		s.t.Fatalf("sign in as %s: %d %s", name, res.status, res.body)
	}
	return c
}

func (s *site) admin() *client   { return s.signedIn("admin", adminPassword) }
func (s *site) analyst() *client { return s.signedIn("ann", analystPassword) }
func (s *site) viewer() *client  { return s.signedIn("vic", viewerPassword) }

type answer struct {
	status int
	header http.Header
	body   string
}

// detail returns what a problem says.
func (a answer) detail() string {
	var p struct{ Detail string }
	_ = json.Unmarshal([]byte(a.body), &p)
	return p.Detail
}

func (c *client) request(method, path string, body any) *http.Request {
	c.t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		must(c.t, err)
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, r)
	must(c.t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req
}

func (c *client) send(req *http.Request) answer {
	c.t.Helper()
	res, err := c.http.Do(req)
	must(c.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(c.t, err)
	return answer{res.StatusCode, res.Header, string(b)}
}

func (c *client) do(method, path string, body any) answer {
	c.t.Helper()
	return c.send(c.request(method, path, body))
}

// get decodes the answer to a GET, which must be 200.
func get[T any](c *client, path string) T {
	c.t.Helper()
	a := c.do(http.MethodGet, path, nil)
	if a.status != 200 {
		c.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	var v T
	must(c.t, json.Unmarshal([]byte(a.body), &v))
	return v
}

func (s *site) audited() []string {
	entries, err := s.state.AuditEntries(s.t.Context(), "", 1000)
	must(s.t, err)
	var out []string
	for _, e := range entries {
		out = append(out, strings.Join([]string{e.Actor, e.Action, e.Target, string(e.Outcome)}, " "))
	}
	return out
}
