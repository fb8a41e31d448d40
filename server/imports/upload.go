package imports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/vitrine-ndr/vitrine/state"
)

const (
	maxName    = 120      // characters of a file name that are kept
	spaceEvery = 16 << 20 // bytes after which the free space is looked at again
)

// Add stores the parts "capture" and "keylog" of an upload and queues the import. The actor is who is recorded to have made it.
func (q *Queue) Add(ctx context.Context, actor string, parts *multipart.Reader) (id string, err error) {
	now := time.Now().UTC()
	id = newID(now)
	dir := filepath.Join(q.cfg.Dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder for upload: %w", err)
	}
	t := &task{job: Job{ID: id}, dir: dir, cancelled: make(chan struct{})}
	if err = q.receive(&t.job, dir, parts); err == nil {
		t.in = describe(t.job, actor, now)
		err = q.enqueue(ctx, t)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return id, nil
}

func describe(job Job, actor string, now time.Time) state.Import {
	in := state.Import{ID: job.ID, State: state.Queued, Actor: actor, Started: now}
	var names []string
	for _, f := range job.Captures {
		names = append(names, f.Name)
		in.BytesTotal += f.Size
	}
	in.Name = shorten(strings.Join(names, ", "), 2*maxName)
	return in
}

// enqueue makes the import known. The place in the queue comes last: a worker may end it at once.
func (q *Queue) enqueue(ctx context.Context, t *task) error {
	if err := q.db.SaveImport(ctx, t.in); err != nil {
		return err
	}
	q.mu.Lock()
	q.open[t.job.ID] = t
	q.mu.Unlock()
	select {
	case q.ready <- t:
		return nil
	default:
		return errors.Join(ErrQueueFull, q.end(t, ErrQueueFull))
	}
}

// receive writes the files of an upload to the folder, under names of its own.
func (q *Queue) receive(job *Job, dir string, parts *multipart.Reader) error {
	left := q.cfg.MaxBytes
	for n := 0; ; n++ {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUpload, err)
		}
		if n == q.cfg.MaxFiles {
			return fmt.Errorf("%w: it has more than %d files", ErrTooLarge, q.cfg.MaxFiles)
		}
		var files *[]File
		switch part.FormName() {
		case "capture":
			files = &job.Captures
		case "keylog":
			files = &job.KeyLogs
		default:
			return fmt.Errorf("%w: its parts must be named capture or keylog", ErrUpload)
		}
		f := File{Path: filepath.Join(dir, fmt.Sprintf("%s-%d", part.FormName(), n)), Name: cleanName(part.FileName())}
		if f.Size, err = q.write(f.Path, part, left); err != nil {
			return err
		}
		left -= f.Size
		*files = append(*files, f)
	}
	if len(job.Captures) == 0 {
		return fmt.Errorf("%w: it has no capture", ErrUpload)
	}
	return nil
}

// write stores a file of at most left bytes.
func (q *Queue) write(path string, from io.Reader, left int64) (n int64, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("store upload: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for {
		if err := q.enoughSpace(); err != nil {
			return n, err
		}
		m, err := io.CopyN(f, from, min(spaceEvery, left-n+1))
		n += m
		switch {
		case n > left:
			return n, fmt.Errorf("%w: at most %d bytes are allowed", ErrTooLarge, q.cfg.MaxBytes)
		case errors.Is(err, io.EOF):
			return n, nil
		case errors.Is(err, syscall.ENOSPC):
			return n, ErrNoSpace
		case err != nil:
			return n, fmt.Errorf("%w: %w", ErrUpload, err)
		}
	}
}

func (q *Queue) enoughSpace() error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(q.cfg.Dir, &fs); err != nil {
		return fmt.Errorf("read disk space: %w", err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < q.cfg.MinFree {
		return fmt.Errorf("%w: %d bytes are free, %d must stay so", ErrNoSpace, free, q.cfg.MinFree)
	}
	return nil
}

// cleanName keeps of a file name what can be shown in one line.
func cleanName(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	if name == "" {
		return "unnamed"
	}
	return shorten(name, maxName)
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
