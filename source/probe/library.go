package probe

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/source/probe/hooks"
	"github.com/vitrine-ndr/vitrine/source/probe/process"
)

const (
	// maxFiles bounds the files that are remembered.
	maxFiles = 16384
	// maxHooked bounds those that are open for hooks: anybody may have copies of a library.
	maxHooked = 512
	// maxOpen bounds the files that are open at once to be looked at.
	maxOpen = 256
)

// library is a file that was looked at.
type library struct {
	id        process.FileID
	path      string // as the first process that had it saw it
	found     []hooks.Library
	name      string // of the first library in it, or of the one that there are no hooks for; may be unknown
	version   string
	obstacle           // why there are no hooks in it; zero if there are, or if nothing in it speaks TLS
	file      *os.File // open while there are hooks in it, or should be
	stamp     stamp
	hooks     attachment
	permanent bool // of the host: hooked whether or not a process uses it
	again     bool // it is to be looked at again when it is met
	users     map[int]struct{}
	idle      time.Time // since when nobody uses it
}

// stamp changes when a file is written to.
type stamp struct {
	size     uint64
	modified unix.StatxTimestamp
}

// speaks tells whether the file matters for coverage.
func (l *library) speaks() bool { return len(l.found) > 0 || l.reason != "" }

// meetHost looks at the libraries of the host, which are hooked before a process uses them.
func (s *scanner) meetHost() {
	files := process.Libraries("/")
	s.meet(files, func(l *library) { l.permanent = true })
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range files {
		if l := s.files[f.ID]; l != nil {
			l.permanent = true
			s.hook(l)
		}
	}
}

// meet looks at those of the files that are new. All are opened before any is read: their process may end soon. What can't be opened or
// read is not remembered, so it is tried again when it is met again. claim notes whose the new ones are that speak TLS.
func (s *scanner) meet(files []process.File, claim func(*library)) {
	for some := range slices.Chunk(s.unmet(files), maxOpen) {
		open := make([]*os.File, len(some))
		for i, f := range some {
			var err error
			if open[i], err = f.Open(); err != nil {
				s.log.Debug("a file can't be opened", "path", f.Path, "err", err)
			}
		}
		for i, f := range some {
			if open[i] == nil {
				continue
			}
			l, err := look(f, open[i], s.options)
			if err != nil {
				open[i].Close()
				s.log.Debug("a file can't be read", "path", f.Path, "err", err)
				continue
			}
			s.add(l, claim)
		}
	}
}

// unmet returns the files that are to be looked at. Those that are TLS libraries by their names come first.
func (s *scanner) unmet(files []process.File) (list []process.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range files {
		if l := s.files[f.ID]; l == nil || l.again && s.room() {
			list = append(list, f)
		}
	}
	rank := func(f process.File) int {
		name := filepath.Base(f.Path)
		if strings.Contains(name, "ssl") || strings.Contains(name, "tls") || strings.Contains(name, "nspr") {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b process.File) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

// room tells whether one more file may have hooks. Valid iff mu is held.
func (s *scanner) room() bool {
	n := 0
	for _, l := range s.files {
		if l.file != nil {
			n++
		}
	}
	return n < maxHooked
}

// look finds out what is in a file. The library owns it.
func look(f process.File, file *os.File, options hooks.Options) (*library, error) {
	l := &library{id: f.ID, path: f.Path, file: file, users: map[int]struct{}{}, idle: time.Now()}
	var err error
	if l.stamp, _, err = stat(file); err != nil {
		return nil, fmt.Errorf("look at file: %w", err)
	}
	r := reader{file: file}
	l.found, err = hooks.Find(&r, int64(l.stamp.size), options)
	if err != nil && r.failed != nil {
		return nil, r.failed
	}
	l.obstacle = explain(err)
	if in, ok := errors.AsType[*hooks.Obstacle](err); ok {
		l.name, l.version = in.Library, in.Version
	}
	if len(l.found) > 0 {
		l.name, l.version = l.found[0].Name, l.found[0].Version
	}
	return l, nil
}

// reader remembers that a file could not be read: what Find says of it then is worth nothing.
type reader struct {
	file   io.ReaderAt
	failed error
}

func (r *reader) ReadAt(b []byte, off int64) (int, error) {
	n, err := r.file.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = err
	}
	return n, err
}

// explain turns what Find says into a reason.
func explain(err error) (o obstacle) {
	switch {
	case err == nil || errors.Is(err, hooks.ErrNoTLS):
		return o
	case errors.Is(err, hooks.ErrUnknown):
		o.reason = event.UnknownLibrary
	case errors.Is(err, hooks.ErrNoSymbols):
		o.reason = event.NoSymbols
	case errors.Is(err, hooks.ErrUnsupported):
		o.reason = event.UnsupportedVersion
	default:
		return o // not an ELF file that can be read: nothing that runs
	}
	o.detail = err.Error()
	if in, ok := errors.AsType[*hooks.Obstacle](err); ok {
		o.cause = event.CoverageCause(in.Cause)
	}
	return o
}

// add remembers a file that was looked at, and puts hooks into it.
func (s *scanner) add(l *library, claim func(*library)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := s.room()
	if old := s.files[l.id]; old != nil {
		l.users, l.idle, l.permanent = old.users, old.idle, old.permanent
		*old = *l
		l = old
	} else if len(s.files) < maxFiles || s.makeRoom() {
		s.files[l.id] = l
	} else {
		l.file.Close()
		return
	}
	if l.speaks() {
		claim(l)
	}
	switch {
	case len(l.found) == 0:
		s.release(l)
	case !room:
		s.release(l)
		l.again = true
		l.obstacle = obstacle{event.AttachFailed, event.CauseTooManyFiles, fmt.Sprintf("%d files with TLS libraries are open already, which is the limit", maxHooked)}
	default:
		s.hook(l)
	}
	s.coverUsers(l)
}

// makeRoom forgets files without hooks that do not matter now: they are looked at again when they are met. It reports whether there were
// any. Valid iff mu is held.
func (s *scanner) makeRoom() (made bool) {
	for id, l := range s.files {
		if l.file == nil && len(l.users) == 0 {
			delete(s.files, id)
			made = true
		}
	}
	return made
}

// plain tells the kernel of a file that does not matter.
func (s *scanner) plain(key fileKey) {
	const filePlain = uint32(1)
	if key != (fileKey{}) {
		_ = s.kernel.programs.Maps["files"].Update(&key, filePlain, ebpf.UpdateAny) // else it only tells more often
	}
}

// stat looks at an open file. It is content with what the kernel has in its memory: no server of a network file system is waited for.
func stat(file *os.File) (st stamp, links uint32, err error) {
	var s unix.Statx_t
	err = unix.Statx(int(file.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_SIZE|unix.STATX_MTIME|unix.STATX_NLINK, &s)
	return stamp{s.Size, s.Mtime}, s.Nlink, err
}

// spoil takes the hooks out of a file that was written to. Valid iff mu is held.
func (s *scanner) spoil(l *library) {
	s.log.Warn("a library was written to while it was in use: it has no hooks any more", "path", l.path)
	s.release(l)
	l.again, l.obstacle = true, obstacle{event.AttachFailed, event.CauseWrittenTo, "the library was written to while it was in use"}
}

// checkFiles takes the hooks out of files that were written to, which would put them between other instructions, and out of those that
// nobody uses any more. It reports whether a library of the host was replaced.
func (s *scanner) checkFiles(now time.Time) (replaced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.files {
		if l.file == nil {
			continue
		}
		st, links, err := stat(l.file)
		if links == 0 && l.permanent {
			l.permanent, replaced = false, true
		}
		unused := len(l.users) == 0 && !l.permanent && now.Sub(l.idle) > rescanTime
		switch {
		case err != nil || st != l.stamp:
			s.spoil(l)
			s.coverUsers(l)
		case unused || len(l.users) == 0 && links == 0:
			s.release(l)
			delete(s.files, id)
		}
	}
	return replaced
}
