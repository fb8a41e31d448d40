// Package imports takes uploads of captures and key logs and has them replayed, one at a time. Streams of files go in, states and
// numbers come out. It knows files and their names, and nothing of packets, events or HTTP.
package imports

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/state"
)

// Config says where uploads lie while they are worked on, and how much is taken.
type Config struct {
	Dir      string // a folder of its own, made if it is missing; what is in it is removed at the start
	MaxBytes int64  // of one import, as uploaded
	MinFree  int64  // bytes of the disk that an upload leaves free
	MaxFiles int    // of one import
	MaxQueue int    // imports that wait
	Remember int    // imports that List returns
}

// DefaultConfig returns the defaults for a folder.
func DefaultConfig(dir string) Config {
	return Config{Dir: dir, MaxBytes: 64 << 30, MinFree: 1 << 30, MaxFiles: 64, MaxQueue: 16, Remember: 200}
}

// File is an uploaded file: where it lies, and what its owner called it.
type File struct {
	Path string
	Name string // hostile
	Size int64
}

// Job is what a Replay works on.
type Job struct {
	ID                string // the import of its events
	Captures, KeyLogs []File
}

// Progress is how far a Replay is. All numbers count from its start.
type Progress struct {
	Bytes                                   int64 // of the captures, as uploaded
	Packets, Events, Connections, Decrypted uint64
}

// Replay reads the captures of a job and puts their events into the store. It calls report now and then, and at its end; it
// returns when all events are stored, and soon after ctx is done.
type Replay func(ctx context.Context, job Job, report func(Progress)) error

// Errors that Add returns, and that a caller can do something about.
var (
	ErrTooLarge  = errors.New("the upload is too large")
	ErrNoSpace   = errors.New("the disk has too little space")
	ErrQueueFull = errors.New("too many imports are waiting")
	ErrUpload    = errors.New("the upload can't be read")
)

var (
	errCancelled = errors.New("cancelled")
	errStopped   = errors.New("the server was stopped before the import was done; upload it again")
)

// Queue is the imports of a server. It is safe for concurrent use.
type Queue struct {
	cfg    Config
	db     *state.DB
	replay Replay
	log    *slog.Logger
	ready  chan *task

	mu   sync.Mutex
	open map[string]*task // queued or running
}

// task is an import that has not ended.
type task struct {
	job       Job
	dir       string
	cancelled chan struct{} // closed by cancel
	once      sync.Once

	mu sync.Mutex
	in state.Import
}

func (t *task) cancel() { t.once.Do(func() { close(t.cancelled) }) }

func (t *task) isCancelled() bool {
	select {
	case <-t.cancelled:
		return true
	default:
		return false
	}
}

// New returns a queue that works once Run is called.
func New(cfg Config, db *state.DB, replay Replay, log *slog.Logger) *Queue {
	return &Queue{cfg: cfg, db: db, replay: replay, log: log, ready: make(chan *task, cfg.MaxQueue), open: map[string]*task{}}
}

// Recover tidies up after an earlier process: its imports are marked as failed and its uploads removed. It comes before
// Run and the first Add.
func (q *Queue) Recover(ctx context.Context) error {
	n, err := q.db.InterruptImports(ctx, errStopped.Error(), time.Now())
	if err != nil {
		return err
	}
	if n > 0 {
		q.log.Warn("imports were interrupted", "imports", n)
	}
	return empty(q.cfg.Dir)
}

// Run works on imports until ctx is done.
func (q *Queue) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return q.stop()
		case t := <-q.ready:
			if err := q.work(ctx, t); err != nil {
				q.log.Error("import could not be recorded", "import", t.job.ID, "err", err)
			}
		}
	}
}

// empty makes the folder and removes what is in it.
func empty(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder for uploads: %w", err)
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read folder for uploads: %w", err)
	}
	for _, e := range old {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("remove old upload: %w", err)
		}
	}
	return nil
}

// stop ends what still waits.
func (q *Queue) stop() error {
	var errs []error
	for {
		select {
		case t := <-q.ready:
			errs = append(errs, q.end(t, errStopped))
		default:
			return errors.Join(errs...)
		}
	}
}

// work replays one import and records how it ended.
func (q *Queue) work(ctx context.Context, t *task) error {
	switch {
	case t.isCancelled():
		return q.end(t, errCancelled)
	case ctx.Err() != nil: // the next import and the stop came at once
		return q.end(t, errStopped)
	}
	if err := q.db.SaveImport(context.WithoutCancel(ctx), t.update(func(i *state.Import) { i.State = state.Running })); err != nil {
		return errors.Join(err, q.end(t, err))
	}
	q.log.Info("import begins", "import", t.job.ID, "captures", len(t.job.Captures), "bytes", t.in.BytesTotal)
	err := q.run(ctx, t)
	switch {
	case err == nil:
	case t.isCancelled():
		err = errCancelled
	case ctx.Err() != nil:
		err = errStopped
	}
	return q.end(t, err)
}

// run calls Replay until it ends or the import is cancelled. A panic in it fails the import only.
func (q *Queue) run(ctx context.Context, t *task) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		select {
		case <-t.cancelled:
			cancel()
		case <-ctx.Done():
		}
	})
	defer func() {
		if p := recover(); p != nil {
			q.log.Error("import panicked", "import", t.job.ID, "panic", p)
			err = errors.New("a fault in the program ended the import; its log says more")
		}
	}()
	return q.replay(ctx, t.job, func(p Progress) {
		t.update(func(i *state.Import) {
			i.BytesDone, i.Packets, i.Events, i.Connections, i.Decrypted = p.Bytes, p.Packets, p.Events, p.Connections, p.Decrypted
		})
	})
}

// end removes an import's files and records how it ended: who sees its end finds nothing left.
func (q *Queue) end(t *task, err error) error {
	removed := os.RemoveAll(t.dir)
	in := t.update(func(i *state.Import) {
		i.Finished = time.Now().UTC()
		switch {
		case err == nil:
			i.State, i.BytesDone = state.Done, i.BytesTotal
		case errors.Is(err, errCancelled):
			i.State = state.Cancelled
		default:
			i.State, i.Error = state.Failed, t.named(err)
		}
	})
	q.log.Info("import ended", "import", in.ID, "state", in.State, "events", in.Events, "err", in.Error)
	saved := q.db.SaveImport(context.Background(), in)
	q.mu.Lock()
	delete(q.open, in.ID)
	q.mu.Unlock()
	return errors.Join(saved, removed)
}

// named returns the text of an error with the names that people know the files by.
func (t *task) named(err error) string {
	s := err.Error()
	for _, f := range append(t.job.Captures[:len(t.job.Captures):len(t.job.Captures)], t.job.KeyLogs...) {
		s = strings.ReplaceAll(s, f.Path, f.Name)
	}
	return s
}

func (t *task) update(change func(*state.Import)) state.Import {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.in)
	return t.in
}

// Get returns an import, or state.ErrNotFound.
func (q *Queue) Get(ctx context.Context, id string) (state.Import, error) {
	if in, ok := q.now(id); ok {
		return in, nil
	}
	return q.db.Import(ctx, id)
}

func (q *Queue) now(id string) (state.Import, bool) {
	q.mu.Lock()
	t, ok := q.open[id]
	q.mu.Unlock()
	if !ok {
		return state.Import{}, false
	}
	return t.update(func(*state.Import) {}), true
}

// List returns the newest imports.
func (q *Queue) List(ctx context.Context) ([]state.Import, error) {
	all, err := q.db.Imports(ctx, q.cfg.Remember)
	for i := range all {
		if in, ok := q.now(all[i].ID); ok {
			all[i] = in
		}
	}
	return all, err
}

// Cancel ends an import. It returns state.ErrNotFound if there is none, and nil if it has ended already.
func (q *Queue) Cancel(ctx context.Context, id string) error {
	q.mu.Lock()
	t, ok := q.open[id]
	q.mu.Unlock()
	if !ok {
		_, err := q.db.Import(ctx, id)
		return err
	}
	t.cancel()
	return nil
}

// newID returns an id that sorts by time, as the ids of events do.
func newID(now time.Time) string {
	seed := uint64(flow.NewSeed())
	return flow.NewID(now, uint16(seed>>48), seed).String()
}
