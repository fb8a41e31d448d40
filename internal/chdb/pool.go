package chdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInUse says that another process has the data folder open.
var ErrInUse = errors.New("another vitrine-store runs in this data folder")

// Pool is the engine on one data folder, with a fixed number of connections.
type Pool struct {
	lock   *os.File
	free   chan *Conn
	others chan struct{} // a place in it allows a statement that is no insert; one fewer than there are connections
	all    []*Conn

	mu      sync.Mutex
	control *Conn // ends the statements of others; guarded by mu
}

// Open locks the data folder and starts the engine on it.
func Open(lib *Library, cfg Config) (*Pool, error) {
	lock, err := lockFolder(cfg.Path)
	if err != nil {
		return nil, err
	}
	config, err := cfg.write()
	if err != nil {
		lock.Close()
		return nil, err
	}
	p := newPool(cfg.Connections)
	p.lock = lock
	for i := range cfg.Connections + 1 {
		c, err := lib.Connect("--path="+cfg.Path, "--config-file="+config)
		if err != nil {
			p.Close()
			return nil, err
		}
		p.all = append(p.all, c)
		c.name = fmt.Sprintf("connection %d", i)
		if err := c.run("SET log_comment = " + quote(c.name, '\'')); err != nil {
			p.Close()
			return nil, fmt.Errorf("name connection: %w", err)
		}
	}
	p.control = p.all[0]
	for _, c := range p.all[1:] {
		p.free <- c
	}
	return p, nil
}

// newPool returns a pool without connections yet.
func newPool(connections int) *Pool {
	return &Pool{free: make(chan *Conn, connections), others: make(chan struct{}, max(connections-1, 1))}
}

func lockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "vitrine-store.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	return f, nil
}

// Do calls f with a connection of its own, once there is a free one. When ctx ends, the statement that f runs is ended.
// What f does must be no insert: one connection is kept for those, unless there is only one.
func (p *Pool) Do(ctx context.Context, f func(*Conn) error) error {
	select {
	case p.others <- struct{}{}:
		defer func() { <-p.others }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return p.DoInsert(ctx, f)
}

// DoInsert is Do for inserts, which need not wait for other statements.
func (p *Pool) DoInsert(ctx context.Context, f func(*Conn) error) error {
	var c *Conn
	select {
	case c = <-p.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	done, killed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(killed)
		p.killAfter(ctx, c, done)
	}()
	defer func() {
		close(done)
		<-killed // so that it cannot hit the connection's next statement
		p.free <- c
	}()
	return f(c)
}

// killAfter ends the statements of a connection from the end of ctx until done.
func (p *Pool) killAfter(ctx context.Context, c *Conn, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	for {
		p.mu.Lock()
		// An error means that there is no such statement yet, or no longer.
		_ = p.control.run("KILL QUERY WHERE Settings['log_comment'] = " + quote(c.name, '\'') + " ASYNC")
		p.mu.Unlock()
		select {
		case <-done:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Close stops the engine and unlocks the data folder. No statement may be running.
func (p *Pool) Close() {
	for _, c := range p.all {
		c.Close()
	}
	p.lock.Close()
}
