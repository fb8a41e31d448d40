package probe

import (
	"path"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
	"github.com/vitrine-ndr/vitrine/source/probe/process"
)

// maxPrograms bounds the processes that are remembered.
const maxPrograms = 65536

// program is a process that was seen. Its facts do not change once they were handed out.
type program struct {
	pid       int
	facts     *flow.Process
	container *flow.Container
	known     bool // facts were read, not guessed
	decision  filter.Decision
	judged    bool // the kernel was told of the decision
	plaintext atomic.Uint64
}

// name fills in what the kernel told of a process that had ended before it could be looked at, and decides anew.
func (ps *programs) name(p *program, t *tie) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.known || t.name == "" {
		return
	}
	facts := &flow.Process{PID: p.pid, Name: t.name, UID: t.uid}
	if t.name == p.facts.Name { // else it has forked since, or names itself otherwise
		facts.Exe = p.facts.Exe
	}
	p.facts, p.known = facts, true
	p.decision = ps.filter.Process(p.facts, p.container) // the kernel need not know: the process is over
}

// programs remembers processes, and what the filter says of them.
type programs struct {
	table *process.Table

	mu     sync.Mutex
	byPID  map[int]*program
	filter *filter.Filter
	rules  int                             // counts filters
	judge  func(pid int, v filter.Verdict) // tells the kernel
	path   func(pid int) string            // asks the kernel for the program of a process that has ended
}

func newPrograms(table *process.Table, f *filter.Filter) *programs {
	return &programs{
		table: table, byPID: map[int]*program{}, filter: f,
		judge: func(int, filter.Verdict) {}, path: func(int) string { return "" },
	}
}

// enforce has the verdicts on processes told to the kernel from now on, which is asked about those that have ended.
func (ps *programs) enforce(judge func(pid int, v filter.Verdict), path func(pid int) string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.judge, ps.path = judge, path
	for _, p := range ps.byPID {
		judge(p.pid, p.decision.Verdict)
	}
}

// setFilter decides anew about all processes.
func (ps *programs) setFilter(f *filter.Filter) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.filter = f
	ps.rules++
	for _, p := range ps.byPID {
		ps.decide(p)
	}
}

// generation changes with the filter.
func (ps *programs) generation() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.rules
}

// decide asks the filter about a process. The kernel is told of each known process once at least: it tells when one that it knows becomes
// another program. Valid iff mu is held.
func (ps *programs) decide(p *program) {
	before := p.decision.Verdict
	p.decision = ps.filter.Process(p.facts, p.container)
	if p.known && (p.decision.Verdict != before || !p.judged) {
		p.judged = true
		ps.judge(p.pid, p.decision.Verdict)
	}
}

// wants tells whether the filter takes a connection.
func (ps *programs) wants(c *conn) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	direction := filter.Incoming
	if c.client {
		direction = filter.Outgoing
	}
	return c.process.decision.Conn(c.flow.Tuple.Server.Port, direction)
}

// excluded tells whether the filter leaves a process out.
func (ps *programs) excluded(p *program) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return p.decision.Verdict == filter.Drop
}

// of returns a process, which is looked at when it is first asked for. One that has ended is not remembered: its number may be another's
// soon.
func (ps *programs) of(pid int) *program {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.byPID[pid]; p != nil {
		return p
	}
	p := ps.look(pid)
	if p.known {
		if len(ps.byPID) >= maxPrograms {
			clear(ps.byPID) // those that live are looked at again
		}
		ps.byPID[pid] = p
	}
	ps.decide(p)
	return p
}

func (ps *programs) look(pid int) *program {
	p := &program{pid: pid, facts: &flow.Process{PID: pid}}
	if found, err := ps.table.Read(pid); err == nil {
		p.facts, p.container, p.known = found.Facts, found.Container, true
	} else if p.facts.Exe = ps.path(pid); p.facts.Exe != "" {
		p.facts.Name = commandName(p.facts.Exe)
	}
	return p
}

// commandName returns what the kernel calls a process that runs a program: TASK_COMM_LEN of include/linux/sched.h.
func commandName(program string) string {
	const most = 15
	name := path.Base(program)
	return strings.ToValidUTF8(name[:min(len(name), most)], "\uFFFD")
}

// forget drops a process that has ended, or that runs another program now.
func (ps *programs) forget(pid int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.byPID, pid)
}

// forgetAll drops all of them.
func (ps *programs) forgetAll() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	clear(ps.byPID)
}

// tuple says who is the client of a connection of the process. It reports false where its addresses can't be had.
func (ps *programs) tuple(p *program, t *tie) (tuple flow.Tuple, client, known bool) {
	tuple.Proto = flow.TCP
	local, remote := t.local, t.remote
	if !t.known {
		s, err := ps.table.Socket(p.pid, t.fd)
		if t.fd < 0 || err != nil {
			return tuple, true, false
		}
		local, remote = s.Local, s.Remote
	}
	client = t.role == roleClient
	if t.role == roleUnknown {
		ports, err := ps.table.Listening(p.pid)
		client = err == nil && !ports.Has(local.Port)
	}
	if client {
		tuple.Client, tuple.Server = local, remote
	} else {
		tuple.Client, tuple.Server = remote, local
	}
	return tuple, client, true
}
