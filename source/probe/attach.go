package probe

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/source/probe/hooks"
)

// cookies number the programs for kernels that attach many points at once: for_each in bpf/probe.bpf.c has the same order.
var cookies = []hooks.Program{
	hooks.Read, hooks.ReadEx, hooks.Write, hooks.WriteEx, hooks.WriteEx2, hooks.SendFile, hooks.Window, hooks.Free, hooks.ReadPacket,
	hooks.NSPRRead, hooks.NSPRRecv, hooks.NSPRWrite, hooks.NSPRWritev, hooks.NSPRFree, hooks.GoRead, hooks.GoWrite, hooks.GoFree,
}

// attachment is the hooks in one file. They work in every process that has mapped it, and in those to come.
type attachment []link.Link

// points are places in a file for one program.
type points struct {
	program   string
	addresses []uint64
	cookies   []uint64 // one each, or none
	returns   bool     // at the start of functions whose return is meant
}

// attach puts the programs into the file. What leaves a function comes first: a call that is entered will be left.
func (k *kernel) attach(file *os.File, libraries []hooks.Library) (attachment, error) {
	ex, err := link.OpenExecutable(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
	if err != nil {
		return nil, fmt.Errorf("open file for hooks: %w", err)
	}
	var a attachment
	for _, p := range k.points(libraries) {
		links, err := k.attachPoints(ex, p)
		a = append(a, links...)
		if err != nil {
			a.detach()
			return nil, fmt.Errorf("put hooks into the file: %w", err)
		}
	}
	return a, nil
}

// points sorts the hooks by program.
func (k *kernel) points(libraries []hooks.Library) []points {
	var leave, leaveByRet, goCopy, enter []points
	add := func(list *[]points, p points) {
		for i := range *list {
			if have := &(*list)[i]; have.program == p.program && have.returns == p.returns {
				have.addresses = append(have.addresses, p.addresses...)
				have.cookies = append(have.cookies, p.cookies...)
				return
			}
		}
		*list = append(*list, p)
	}
	for _, l := range libraries {
		for _, h := range l.Hooks {
			leaver := map[bool]string{false: "leave", true: "leave_pieces"}[h.Program.Scattered()]
			switch {
			case len(h.Exit) == 0:
			case h.Program == hooks.GoRead:
				add(&goCopy, points{program: "go_copy", addresses: h.Exit})
			case h.Trampoline:
				add(&leave, points{program: leaver, addresses: h.Exit, returns: true})
			default:
				add(&leaveByRet, points{program: leaver, addresses: h.Exit})
			}
			if k.multi {
				cookie := slices.Index(cookies, h.Program)
				add(&enter, points{program: "enter_any", addresses: []uint64{h.Enter}, cookies: []uint64{uint64(cookie)}})
			} else {
				add(&enter, points{program: "enter_" + string(h.Program) + "_call", addresses: []uint64{h.Enter}})
			}
		}
	}
	all := append(leave, leaveByRet...)
	return append(append(all, goCopy...), enter...)
}

func (k *kernel) attachPoints(ex *link.Executable, p points) (attachment, error) {
	program := k.programs.Programs[p.program]
	if k.multi {
		put := ex.UprobeMulti
		if p.returns {
			put = ex.UretprobeMulti
		}
		l, err := put(nil, program, &link.UprobeMultiOptions{Addresses: p.addresses, Cookies: p.cookies})
		if err != nil {
			return nil, err
		}
		return attachment{l}, nil
	}
	return attachOneByOne(ex, program, p)
}

func attachOneByOne(ex *link.Executable, program *ebpf.Program, p points) (a attachment, err error) {
	put := ex.Uprobe
	if p.returns {
		put = ex.Uretprobe
	}
	for _, address := range p.addresses {
		l, err := put("", program, &link.UprobeOptions{Address: address})
		if err != nil {
			return a, err
		}
		a = append(a, l)
	}
	return a, nil
}

// detach takes the hooks out again. The kernel waits for each of them, so they go side by side.
func (a attachment) detach() error {
	errs := make([]error, len(a))
	var wg sync.WaitGroup
	for i, l := range a {
		wg.Go(func() { errs[i] = l.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

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
	if st, _, err := stat(l.file); err != nil || st != l.stamp { // hooks would be between other instructions
		s.spoil(l)
		return true
	}
	begun := time.Now()
	a, err := s.kernel.attach(l.file, l.found)
	if err != nil {
		if l.reason == "" { // for the first time
			s.log.Warn("a library can't be hooked", "path", l.path, "err", err)
		}
		l.obstacle = obstacle{reason: event.AttachFailed, detail: err.Error()}
		return true
	}
	l.hooks = a
	l.obstacle = obstacle{}
	s.log.Debug("hooked", "path", l.path, "library", l.name, "version", l.version, "took", time.Since(begun))
	return true
}

// refilter puts hooks where a new filter wants some, and takes them out where it wants none. Valid iff mu is held.
func (s *scanner) refilter() {
	s.hookAll()
	var unwanted []*library
	for _, l := range s.files {
		if !s.wanted(l) {
			unwanted = append(unwanted, l)
		}
	}
	s.unhook(unwanted...)
}

// unhook takes the hooks out of files, side by side: the kernel waits for each. Calls that wait meanwhile would never be seen to end, so what
// the kernel remembers of their processes goes too. Valid iff mu is held.
func (s *scanner) unhook(files ...*library) {
	var all attachment
	users := map[int]bool{}
	for _, l := range files {
		if l.hooks == nil {
			continue
		}
		all = append(all, l.hooks...)
		l.hooks = nil
		for pid := range l.users {
			users[pid] = true
		}
	}
	if err := all.detach(); err != nil {
		s.log.Warn("hooks were not taken out cleanly", "err", err)
	}
	if len(users) == 0 {
		return
	}
	if err := s.kernel.forgetProcesses(users); err != nil {
		s.log.Warn("the kernel still knows calls of programs without hooks", "err", err)
	}
}

// release takes the hooks out of a file and closes it. Valid iff mu is held.
func (s *scanner) release(l *library) {
	s.unhook(l)
	l.file.Close()
	l.file = nil
}
