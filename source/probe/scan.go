package probe

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/source/probe/hooks"
	"github.com/vitrine-ndr/vitrine/source/probe/process"
)

const (
	// rescanTime is how often all processes are looked at, in case a notice was lost.
	rescanTime = time.Minute
	// checkTime is how often files with hooks are looked at: one that is written to must lose its hooks.
	checkTime = time.Second
	// maxFiles bounds the files that are remembered.
	maxFiles = 16384
)

// library is a file that was looked at.
type library struct {
	id        process.FileID
	path      string // as the first process that had it saw it
	found     []hooks.Library
	reason    event.CoverageReason // why there are no hooks in it; empty if there are, or if nothing in it speaks TLS
	detail    string
	file      *os.File // open while there are hooks in it
	stamp     stamp
	hooks     attachment
	permanent bool // of the host: hooked whether or not a process uses it
	written   bool // to, while there were hooks in it: it is to be looked at again
	users     map[int]struct{}
	idle      time.Time // since when nobody uses it
}

// stamp changes when a file is written to.
type stamp struct {
	size     int64
	modified unix.Timespec
}

// speaks tells whether the file matters for coverage.
func (l *library) speaks() bool { return len(l.found) > 0 || l.reason != "" }

// notice is a process that is to be looked at.
type notice struct {
	kind kind
	pid  int
	file fileKey // that it has mapped, zero if unknown
}

// scanner finds TLS libraries and puts hooks into them.
type scanner struct {
	kernel   *kernel
	table    *process.Table
	coverage *coverage
	programs *programs
	options  hooks.Options
	log      *slog.Logger
	notices  chan notice

	mu     sync.Mutex // held while hooks come and go
	paused bool
	files  map[process.FileID]*library
	byPID  map[int][]*library
}

// run looks at what there is, and then at what comes.
func (s *scanner) run(ctx context.Context) {
	check, rescan := time.NewTicker(checkTime), time.NewTicker(rescanTime)
	defer check.Stop()
	defer rescan.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-s.notices:
			s.handle(n)
		case <-check.C:
			s.checkFiles(time.Now())
		case <-rescan.C:
			s.scanAll()
		}
	}
}

// prepare puts hooks into the libraries of the host, and into what processes use already.
func (s *scanner) prepare() {
	s.mu.Lock()
	for _, f := range process.Libraries("/") {
		s.library(f).permanent = true
	}
	s.mu.Unlock()
	s.scanAll()
}

func (s *scanner) scanAll() {
	pids, err := s.table.PIDs()
	if err != nil {
		s.log.Warn("processes can't be listed", "err", err)
		return
	}
	alive := map[int]bool{}
	for _, pid := range pids {
		alive[pid] = true
		s.scan(pid, fileKey{})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for pid := range s.byPID {
		if !alive[pid] {
			s.gone(pid)
		}
	}
}

func (s *scanner) handle(n notice) {
	if n.kind == kindExit {
		s.mu.Lock()
		s.gone(n.pid)
		s.mu.Unlock()
		return
	}
	s.scan(n.pid, n.file)
}

// scan looks at the files of a process. The kernel need not tell of key again if nothing in that file speaks TLS.
func (s *scanner) scan(pid int, key fileKey) {
	if pid == os.Getpid() {
		return
	}
	mapped, err := s.table.Mapped(pid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, process.ErrGone) {
		return
	}
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			s.coverage.set(s.programs.of(pid), nil, event.NotPermitted, "the probe may not read the process's memory map")
		}
		return
	}
	var used []*library
	for _, f := range mapped {
		l := s.library(f)
		if l == nil {
			continue
		}
		if f.ID.Inode == key.Inode && !l.speaks() {
			s.plain(key)
		}
		if l.speaks() {
			l.users[pid] = struct{}{}
			used = append(used, l)
			s.cover(pid, l)
		}
	}
	if len(used) > 0 {
		s.byPID[pid] = used
	}
}

// cover tells whether the process is seen into.
func (s *scanner) cover(pid int, l *library) {
	p := s.programs.of(pid)
	reason, detail := l.reason, l.detail
	if s.programs.excluded(p) {
		reason, detail = event.Excluded, "the probe's filter leaves the process out"
	}
	if s.paused && reason == "" {
		reason, detail = event.Paused, "the probe was over its budget"
	}
	s.coverage.set(p, l, reason, detail)
}

// coverUsers tells of all processes that use a library. Valid iff mu is held.
func (s *scanner) coverUsers(l *library) {
	for pid := range l.users {
		s.cover(pid, l)
	}
}

// coverAll tells of all processes anew.
func (s *scanner) coverAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for pid, used := range s.byPID {
		for _, l := range used {
			s.cover(pid, l)
		}
	}
}

// plain tells the kernel of a file that does not matter.
func (s *scanner) plain(key fileKey) {
	const filePlain = uint32(1)
	if key != (fileKey{}) {
		_ = s.kernel.programs.Maps["files"].Update(&key, filePlain, ebpf.UpdateAny) // else it only tells more often
	}
}

// library returns what is known of a file, which is looked at first if it is new. Valid iff mu is held.
func (s *scanner) library(f process.File) *library {
	if l := s.files[f.ID]; l != nil {
		if l.written {
			l.written = false
			s.look(l, f)
			s.coverUsers(l)
		}
		return l
	}
	if len(s.files) >= maxFiles {
		s.forgetPlain()
	}
	l := &library{id: f.ID, path: f.Path, users: map[int]struct{}{}, idle: time.Now()}
	s.files[f.ID] = l
	s.look(l, f)
	return l
}

// forgetPlain makes room: files without TLS are looked at again when they are met.
func (s *scanner) forgetPlain() {
	for id, l := range s.files {
		if !l.speaks() {
			delete(s.files, id)
		}
	}
}

// look finds out what is in a file, and puts hooks into it.
func (s *scanner) look(l *library, f process.File) {
	file, err := f.Open()
	if err != nil {
		return
	}
	info, err := file.Stat()
	if err == nil {
		l.found, err = hooks.Find(file, info.Size(), s.options)
		l.reason, l.detail = explain(err)
	}
	if len(l.found) == 0 || err != nil {
		file.Close()
		return
	}
	l.file, l.stamp = file, stampOf(file)
	if !s.paused {
		s.hook(l)
	}
}

// explain turns what Find says into a reason.
func explain(err error) (event.CoverageReason, string) {
	switch {
	case err == nil || errors.Is(err, hooks.ErrNoTLS):
		return "", ""
	case errors.Is(err, hooks.ErrUnknown):
		return event.UnknownLibrary, err.Error()
	case errors.Is(err, hooks.ErrNoSymbols):
		return event.NoSymbols, err.Error()
	case errors.Is(err, hooks.ErrUnsupported):
		return event.UnsupportedVersion, err.Error()
	}
	return "", "" // not an ELF file that can be read: nothing that runs
}

func (s *scanner) hook(l *library) {
	begun := time.Now()
	a, err := s.kernel.attach(l.file, l.found)
	if err != nil {
		l.reason, l.detail = event.AttachFailed, err.Error()
		s.log.Warn("a library can't be hooked", "path", l.path, "err", err)
		return
	}
	l.hooks = a
	l.reason, l.detail = "", ""
	s.log.Debug("hooked", "path", l.path, "library", l.found[0].Name, "version", l.found[0].Version, "took", time.Since(begun))
}

func stampOf(file *os.File) (st stamp) {
	var s unix.Stat_t
	if unix.Fstat(int(file.Fd()), &s) == nil {
		st = stamp{s.Size, s.Mtim}
	}
	return st
}

// checkFiles takes the hooks out of files that were written to, which would put them between other instructions, and out of those that
// nobody uses any more.
func (s *scanner) checkFiles(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, l := range s.files {
		if l.file == nil {
			continue
		}
		changed := stampOf(l.file) != l.stamp
		unused := len(l.users) == 0 && !l.permanent && now.Sub(l.idle) > rescanTime
		switch {
		case changed:
			s.log.Warn("a hooked library was written to: its hooks are taken out", "path", l.path)
			s.release(l)
			l.written, l.reason, l.detail = true, event.AttachFailed, "the library was written to while it was in use"
			s.coverUsers(l)
		case unused || len(l.users) == 0 && deleted(l.file):
			s.release(l)
			delete(s.files, id)
		}
	}
}

func deleted(file *os.File) bool {
	var s unix.Stat_t
	return unix.Fstat(int(file.Fd()), &s) == nil && s.Nlink == 0
}

// release takes the hooks out of a file and closes it.
func (s *scanner) release(l *library) {
	if err := l.hooks.detach(); err != nil {
		s.log.Warn("hooks were not taken out cleanly", "path", l.path, "err", err)
	}
	l.hooks = nil
	l.file.Close()
	l.file = nil
}

// gone forgets a process. Valid iff mu is held.
func (s *scanner) gone(pid int) {
	for _, l := range s.byPID[pid] {
		delete(l.users, pid)
		l.idle = time.Now()
	}
	delete(s.byPID, pid)
	s.coverage.ended(pid)
}

// pause takes all hooks out.
func (s *scanner) pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = true
	s.detachAll()
	s.coverHooked()
}

// resume puts all hooks in again, and looks at what has come meanwhile.
func (s *scanner) resume() error {
	s.checkFiles(time.Now())
	s.programs.forgetAll() // others may have their numbers by now
	if err := errors.Join(s.kernel.forget(), s.kernel.watch()); err != nil {
		return err
	}
	s.mu.Lock()
	s.paused = false
	for _, l := range s.files {
		if l.file != nil {
			s.hook(l)
		}
	}
	s.coverHooked()
	s.mu.Unlock()
	s.scanAll()
	return nil
}

// coverHooked tells of the processes that use a library that is hooked, or would be. Valid iff mu is held.
func (s *scanner) coverHooked() {
	for _, l := range s.files {
		if l.file != nil {
			s.coverUsers(l)
		}
	}
}

// detachAll takes out all hooks side by side: the kernel waits for each. Valid iff mu is held.
func (s *scanner) detachAll() {
	s.kernel.unwatch()
	var all attachment
	for _, l := range s.files {
		all = append(all, l.hooks...)
		l.hooks = nil
	}
	if err := all.detach(); err != nil {
		s.log.Warn("hooks were not taken out cleanly", "err", err)
	}
}

// hooked lists the files with hooks in them, by path.
func (s *scanner) hooked() (list []Hooked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.files {
		if l.hooks == nil {
			continue
		}
		h := Hooked{Name: l.found[0].Name, Version: l.found[0].Version, Path: l.path, Processes: len(l.users)}
		for _, f := range l.found {
			h.Hooks += len(f.Hooks)
		}
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b Hooked) int { return cmp.Compare(a.Path, b.Path) })
	return list
}

// close takes everything out of the kernel.
func (s *scanner) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detachAll()
	for _, l := range s.files {
		if l.file != nil {
			l.file.Close()
			l.file = nil
		}
	}
}
