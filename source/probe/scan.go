package probe

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/source/probe/hooks"
	"github.com/vitrine-ndr/vitrine/source/probe/process"
)

const (
	// rescanTime is how often all processes are looked at, in case a notice was lost.
	rescanTime = time.Minute
	// checkTime is how often files with hooks are looked at: one that is written to must lose its hooks.
	checkTime = time.Second
)

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

	looking sync.Mutex // held while files are opened and read, and before mu

	mu     sync.Mutex // held while hooks come and go
	paused bool
	files  map[process.FileID]*library
	byPID  map[int][]*library
}

// run looks at what comes.
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
			if s.checkFiles(time.Now()) {
				s.prepare()
			}
		case <-rescan.C:
			s.prepare()
		}
	}
}

// prepare puts hooks into the libraries of the host and into what processes use, and forgets processes whose end was not told.
func (s *scanner) prepare() {
	s.looking.Lock()
	defer s.looking.Unlock()
	s.meetHost()
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
	s.hookAll()
}

func (s *scanner) handle(n notice) {
	if n.kind == kindExit {
		s.mu.Lock()
		s.gone(n.pid)
		s.mu.Unlock()
		return
	}
	s.looking.Lock()
	defer s.looking.Unlock()
	s.scan(n.pid, n.file)
}

// scan looks at the files of a process. The kernel need not tell of key again if nothing in that file speaks TLS. Valid iff looking is held.
func (s *scanner) scan(pid int, key fileKey) {
	if pid == os.Getpid() {
		return
	}
	mapped, err := s.table.Mapped(pid)
	if errors.Is(err, os.ErrPermission) {
		s.coverage.set(s.programs.of(pid), nil, obstacle{event.NotPermitted, event.CauseMemoryMap, "the probe may not read the process's memory map"})
	}
	if err != nil {
		return
	}
	s.meet(mapped, func(l *library) { l.users[pid] = struct{}{} })
	s.mu.Lock()
	defer s.mu.Unlock()
	var used []*library
	plain, matters := false, false
	for _, f := range mapped {
		l := s.files[f.ID]
		if l != nil && l.speaks() {
			used = append(used, l)
		}
		if f.ID.Inode == key.Inode { // of whichever device: the kernel numbers them otherwise
			known := l != nil && !l.speaks()
			plain, matters = plain || known, matters || !known
		}
	}
	if plain && !matters {
		s.plain(key)
	}
	s.use(pid, used)
}

// use notes which libraries a process has now. It may have become another program. Valid iff mu is held.
func (s *scanner) use(pid int, used []*library) {
	for _, l := range s.byPID[pid] {
		if !slices.Contains(used, l) {
			delete(l.users, pid)
			l.idle = time.Now()
			s.coverage.left(pid, l)
		}
	}
	if delete(s.byPID, pid); len(used) > 0 {
		s.byPID[pid] = used
	}
	for _, l := range used {
		l.users[pid] = struct{}{}
		if l.reason != event.AttachFailed && s.hook(l) { // else it is tried again when all are looked at
			s.coverUsers(l)
		}
		s.cover(pid, l)
	}
}

// gone forgets a process, here and in the kernel, which may have been told of it after its end. Valid iff mu is held.
func (s *scanner) gone(pid int) {
	s.use(pid, nil)
	s.coverage.ended(pid)
	s.programs.forget(pid)
	_ = s.kernel.programs.Maps["processes"].Delete(uint32(pid)) // most often it is not there
}

// cover tells whether the process is seen into, as far as it uses the library.
func (s *scanner) cover(pid int, l *library) {
	p := s.programs.of(pid)
	o := l.obstacle
	if s.programs.excluded(p) {
		o = obstacle{event.Excluded, event.CauseFilter, "the probe's filter leaves the process out"}
	}
	if s.paused && o.reason == "" {
		o = obstacle{event.Paused, event.CauseBudget, "the probe was over its budget"}
	}
	if o.reason == "" {
		o = beside(s.byPID[pid])
	}
	s.coverage.set(p, l, o)
}

// beside returns what is to be said of a library with hooks where the process has these. Nobody can tell which of them its traffic goes
// through: programs load libraries that they never use.
func beside(used []*library) obstacle {
	for _, l := range used {
		if l.reason != "" {
			return obstacle{event.BesideUnseen, "", strings.TrimSpace(l.name + " in " + l.path)}
		}
	}
	return obstacle{}
}

// coverUsers tells of all processes that use a library. What is said of their other libraries depends on it. Valid iff mu is held.
func (s *scanner) coverUsers(l *library) {
	for pid := range l.users {
		s.cover(pid, l)
		for _, other := range s.byPID[pid] {
			s.cover(pid, other)
		}
	}
}

// filterChanged follows a new filter.
func (s *scanner) filterChanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refilter()
	for pid, used := range s.byPID {
		for _, l := range used {
			s.cover(pid, l)
		}
	}
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
	s.kernel.unwatch()
	if err := s.kernel.forget(); err != nil {
		return err
	}
	if err := s.kernel.watch(); err != nil {
		return err
	}
	s.mu.Lock()
	s.paused = false
	s.hookAll()
	s.coverHooked()
	s.mu.Unlock()
	s.prepare()
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
		h := Hooked{Name: l.name, Version: l.version, Path: l.path, Processes: len(l.users)}
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
