package probe

import (
	"time"

	"github.com/vitrine-ndr/vitrine/event"
)

// hookAll puts hooks into the files that should have them and have none. Valid iff mu is held.
func (s *scanner) hookAll() {
	for _, l := range s.files {
		if s.hook(l) {
			s.coverUsers(l)
		}
	}
}

// wanted tells whether a file should have hooks: one of the host, which processes to come may use, or one of whose processes the filter takes
// some. Programs that bring their own TLS and are left out pay for nothing. Valid iff mu is held.
func (s *scanner) wanted(l *library) bool {
	if l.permanent {
		return true
	}
	for pid := range l.users {
		if !s.programs.excluded(s.programs.of(pid)) {
			return true
		}
	}
	return false
}

// hook puts hooks into a file that should have them and has none, and reports whether that was so. Valid iff mu is held.
func (s *scanner) hook(l *library) bool {
	if s.paused || l.file == nil || l.hooks != nil || !s.wanted(l) {
		return false
	}
	begun := time.Now()
	a, err := s.kernel.attach(l.file, l.found)
	if err != nil {
		if l.reason == "" { // for the first time
			s.log.Warn("a library can't be hooked", "path", l.path, "err", err)
		}
		l.reason, l.detail = event.AttachFailed, err.Error()
		return true
	}
	l.hooks = a
	l.reason, l.detail = "", ""
	s.log.Debug("hooked", "path", l.path, "library", l.found[0].Name, "version", l.found[0].Version, "took", time.Since(begun))
	return true
}

// refilter puts hooks where a new filter wants some, and takes them out where it wants none. Valid iff mu is held.
func (s *scanner) refilter() {
	s.hookAll()
	for _, l := range s.files {
		if l.hooks != nil && !s.wanted(l) {
			s.unhook(l)
		}
	}
}

// unhook takes the hooks out of a file. Valid iff mu is held.
func (s *scanner) unhook(l *library) {
	if err := l.hooks.detach(); err != nil {
		s.log.Warn("hooks were not taken out cleanly", "path", l.path, "err", err)
	}
	l.hooks = nil
}

// release takes the hooks out of a file and closes it. Valid iff mu is held.
func (s *scanner) release(l *library) {
	s.unhook(l)
	l.file.Close()
	l.file = nil
}
