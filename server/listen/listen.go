package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
)

const (
	maxConns     = 1024                   // that are open at a time
	firstByte    = 10 * time.Second       // for a client to say anything
	plainTimeout = 5 * time.Second        // for a plain HTTP request and its answer
	acceptPause  = 100 * time.Millisecond // when files or memory are short
	tlsHandshake = 0x16                   // the first byte of every TLS connection
)

// Serve serves HTTPS on the listener until ctx is done, and answers plain HTTP with a redirect. It then gives requests that
// are under way the grace time to end. The server's Handler and timeouts are the caller's; its TLS is c's.
func Serve(ctx context.Context, ln net.Listener, c *Certificate, srv *http.Server, grace time.Duration, log *slog.Logger) error {
	split := newSplitter(netutil.LimitListener(ln, maxConns))
	plain := &http.Server{Handler: http.HandlerFunc(redirect), ReadTimeout: plainTimeout, WriteTimeout: plainTimeout, MaxHeaderBytes: 8 << 10, ErrorLog: srv.ErrorLog}
	errs := make(chan error, 3)
	var wg sync.WaitGroup
	wg.Go(func() { errs <- split.run() })
	wg.Go(func() { errs <- srv.Serve(tls.NewListener(split.secure, c.TLS())) })
	wg.Go(func() { errs <- plain.Serve(split.plain) })
	defer wg.Wait()

	var err error
	select {
	case <-ctx.Done():
		log.Debug("console stops", "grace", grace)
	case err = <-errs:
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if srv.Shutdown(stop) != nil { // somebody would not end in time
		_ = srv.Close()
	}
	_ = plain.Close()
	split.close()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve console: %w", err)
	}
	return nil
}

// redirect answers plain HTTP. A request that changes something is refused instead: what it carried was sent in the clear.
func redirect(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	target := url.URL{Scheme: "https", Host: r.Host, Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	if _, err := url.Parse(target.String()); err != nil || r.Host == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "This port speaks HTTPS. Use https:// instead of http://.", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, target.String(), http.StatusPermanentRedirect)
}

// splitter tells TLS from plain connections by their first byte.
type splitter struct {
	net.Listener
	secure, plain *queue
	done          chan struct{}
	once          sync.Once
	looking       sync.WaitGroup
}

func newSplitter(ln net.Listener) *splitter {
	s := &splitter{Listener: ln, done: make(chan struct{})}
	s.secure, s.plain = &queue{s, make(chan net.Conn)}, &queue{s, make(chan net.Conn)}
	return s
}

// run accepts until close.
func (s *splitter) run() error {
	defer s.looking.Wait()
	for {
		conn, err := s.Accept()
		if err != nil {
			select {
			case <-s.done:
				return http.ErrServerClosed
			default:
			}
			if !shortage(err) {
				return err
			}
			time.Sleep(acceptPause)
			continue
		}
		s.looking.Go(func() { s.look(conn) })
	}
}

// shortage reports whether a later accept may succeed.
func shortage(err error) bool {
	for _, e := range [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *splitter) look(conn net.Conn) {
	closed := make(chan struct{})
	defer close(closed)
	go func() { // a client that says nothing must not hold up a stop
		select {
		case <-s.done:
			_ = conn.SetReadDeadline(time.Unix(1, 0))
		case <-closed:
		}
	}()
	first := make([]byte, 1)
	_ = conn.SetReadDeadline(time.Now().Add(firstByte))
	if _, err := conn.Read(first); err != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	to := s.plain
	if first[0] == tlsHandshake {
		to = s.secure
	}
	select {
	case to.conns <- &peeked{Conn: conn, first: first}:
	case <-s.done:
		_ = conn.Close()
	}
}

func (s *splitter) close() {
	s.once.Do(func() {
		close(s.done)
		_ = s.Listener.Close()
	})
}

// queue is a listener of the connections that a splitter hands it.
type queue struct {
	*splitter
	conns chan net.Conn
}

// Accept returns the next connection.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close ends the splitter: the listeners of one port end together.
func (q *queue) Close() error {
	q.close()
	return nil
}

// peeked is a connection whose first byte was read already.
type peeked struct {
	net.Conn
	first []byte
}

// Read gives the first byte back before all others.
func (p *peeked) Read(b []byte) (int, error) {
	if len(p.first) > 0 && len(b) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
