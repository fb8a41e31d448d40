package origin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"
)

// What is fetched for a judgement.
const (
	patience   = 2 * time.Second  // how long a client waits for all of it; the rest comes too late for it, but not for the next one
	fetchTime  = 10 * time.Second // how long one thing may take
	fetching   = 32               // things at once
	hops       = 3                // redirections
	maxAddress = 2 << 10          // bytes
	downTime   = 5 * time.Minute  // how long what has failed is not tried again
	maxDown    = 1024             // of whom that is remembered
)

// fetcher gets what certificates point to, over HTTP, from no address that the guard keeps. It is safe for concurrent use.
type fetcher struct {
	client *http.Client
	log    *slog.Logger
	slots  chan struct{}

	mu   sync.Mutex
	down map[string]time.Time // until when a host is not asked
}

// newFetcher returns a fetcher from addresses that check lets through.
func newFetcher(check func(netip.AddrPort, time.Time) error, log *slog.Logger) *fetcher {
	dialer := net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return check(to, time.Now())
	}}
	return &fetcher{
		client: &http.Client{
			Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10},
			CheckRedirect: follow,
		},
		log: log, slots: make(chan struct{}, fetching), down: map[string]time.Time{},
	}
}

func follow(r *http.Request, via []*http.Request) error {
	if r.URL.Scheme != "http" || len(via) > hops {
		return errors.New("redirected to where it does not ask")
	}
	return nil
}

// get returns what is at the address, at most limit bytes of it: in answer to the body, if there is one.
func (f *fetcher) get(ctx context.Context, address string, body []byte, limit int64) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || len(address) > maxAddress || u.Scheme != "http" || u.Host == "" { // HTTPS would need certificates that need the same
		return nil, errors.New("no address of HTTP")
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f.isDown(u.Host) {
		return nil, errors.New("the server has failed lately")
	}
	b, err := f.fetch(ctx, u, body, limit)
	if err != nil {
		f.log.Info("not fetched", "component", "gateway", "url", address, "err", err)
	}
	return b, err
}

func (f *fetcher) fetch(ctx context.Context, u *url.URL, body []byte, limit int64) ([]byte, error) {
	method, kind := http.MethodGet, ""
	if body != nil {
		method, kind = http.MethodPost, "application/ocsp-request"
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	resp, err := f.client.Do(r)
	if err != nil {
		f.failed(u.Host)
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("longer than %d bytes", limit)
	}
	return b, err
}

func (f *fetcher) isDown(host string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Before(f.down[host])
}

func (f *fetcher) failed(host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.down) >= maxDown {
		clear(f.down)
	}
	f.down[host] = time.Now().Add(downTime)
}

// cache keeps what was fetched until it is out of date. Who asks for what is being fetched waits for it. It is safe for concurrent use.
type cache[T any] struct {
	limit int // of entries

	mu      sync.Mutex
	entries map[string]*fetched[T]
}

// fetched is a value that comes. What is below ready is valid once that is closed.
type fetched[T any] struct {
	began time.Time
	ready chan struct{}
	value T
	until time.Time
	err   error
}

func newCache[T any](limit int) cache[T] {
	return cache[T]{limit: limit, entries: map[string]*fetched[T]{}}
}

// get returns the value, if it is there before ctx is done. What fetch returns is valid until the time that it returns; it goes on when ctx is done.
func (c *cache[T]) get(ctx context.Context, key string, now time.Time, fetch func(context.Context) (T, time.Time, error)) (v T, err error) {
	e, begun := c.entry(key, now)
	if begun {
		go func() {
			defer close(e.ready)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
			defer cancel()
			defer func() {
				if v := recover(); v != nil {
					e.err = fmt.Errorf("failed: %v", v)
				}
				if e.err != nil {
					e.until = now.Add(downTime)
				}
			}()
			e.value, e.until, e.err = fetch(ctx)
		}()
	}
	wait := time.NewTimer(patience - time.Since(e.began)) // who comes later need not wait as long for who does not answer
	defer wait.Stop()
	select {
	case <-e.ready:
		return e.value, e.err
	default:
	}
	select {
	case <-e.ready:
		return e.value, e.err
	case <-wait.C:
		return v, errLate
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

var errLate = errors.New("it is still under way")

// entry returns what is known or being fetched, or else begins an entry.
func (c *cache[T]) entry(key string, now time.Time) (e *fetched[T], begun bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil && !e.over(now) {
		return e, false
	}
	for k := range c.entries { // any will do
		if len(c.entries) < c.limit {
			break
		}
		delete(c.entries, k)
	}
	e = &fetched[T]{began: time.Now(), ready: make(chan struct{})}
	c.entries[key] = e
	return e, true
}

// over tells whether the value is there and out of date.
func (e *fetched[T]) over(now time.Time) bool {
	select {
	case <-e.ready:
		return !now.Before(e.until)
	default:
		return false
	}
}
