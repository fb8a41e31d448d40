package governor

import (
	"fmt"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/config"
)

// Reading is what has been used at one moment.
type Reading struct {
	CPU    time.Duration // since the process began
	Memory int64         // bytes, now
}

// Phase is what the governed part is doing.
type Phase string

const (
	Running Phase = "running"
	Trying  Phase = "trying"  // running again after a pause, until it has proved itself
	Paused  Phase = "paused"  // until it is tried again
	Stopped Phase = "stopped" // paused for good
)

// State is what can be shown of a Governor.
type State struct {
	Phase Phase     `json:"phase" enum:"running,trying,paused,stopped" doc:"What the governed part is doing; stopped means paused until somebody resumes it"`
	Since time.Time `json:"since" doc:"Since when"`
	Until time.Time `json:"until,omitzero" doc:"When it is tried again, or has proved itself"`
	Over  time.Time `json:"over,omitzero" doc:"Since when more has been used than the budget allows; none if it is kept"`
	Why   string    `json:"why,omitempty" doc:"Why it was paused the last time, for people"`
	Cause Cause     `json:"cause,omitempty" enum:"over_cpu,over_memory" doc:"Why it was paused the last time; missing if it could not be resumed"`
	Taken float64   `json:"taken,omitempty" doc:"What it took then: percent of one core, or bytes"`

	CPU         float64     `json:"cpu" doc:"CPU time used of late, in percent of one core"`
	Memory      int64       `json:"memory" doc:"Bytes of memory in use"`
	CPULimit    float64     `json:"cpu_limit" doc:"CPU time that may be used, in percent of one core"`
	MemoryLimit config.Size `json:"memory_limit" doc:"Bytes of memory that may be used"`
	Pauses      int         `json:"pauses" doc:"How often it was paused"`
}

// Cause is what was over the budget.
type Cause string

const (
	OverCPU    Cause = "over_cpu"
	OverMemory Cause = "over_memory"
)

// IsPaused tells whether the governed part is not running at the moment.
func (s State) IsPaused() bool { return s.Phase == Paused || s.Phase == Stopped }

// String says in a line for people what is going on.
func (s State) String() string {
	const clock = "15:04:05"
	switch s.Phase {
	case Trying:
		return fmt.Sprintf("running again after a pause (%s)", s.Why)
	case Paused:
		return fmt.Sprintf("paused: %s; will be tried again at %s", s.Why, s.Until.Format(clock))
	case Stopped:
		return fmt.Sprintf("paused until it is resumed by hand or restarted: %s", s.Why)
	}
	return "running"
}

// action is what the machine wants to be done.
type action uint8

const (
	nothing action = iota
	pause
	resume
)

// machine decides. It does nothing itself, and time is what it is told.
type machine struct {
	cfg   Config
	state State

	at   time.Time // of the last reading; zero before the first
	last Reading
	cpu  spell
	mem  spell
}

// spell is a time in which more of something was used than the budget allows. It begins with the interval that was over, and
// lasts while the mean since then is, so that a load which comes in bursts can't hide between them. It is too long once a later
// interval is over, and the mean has been for as long as is allowed.
type spell struct {
	from time.Time     // zero if there is none
	cpu  time.Duration // used up to then
}

// observe takes a reading.
func (m *machine) observe(now time.Time, r Reading) action {
	m.measure(now, r)
	s := &m.state
	switch s.Phase {
	case Running, Trying:
		if e := m.tooLong(now); e.cause != "" {
			m.pause(now, e)
			return pause
		}
		if s.Phase == Trying && !now.Before(s.Until) && s.Over.IsZero() {
			m.enter(Running, now, time.Time{})
		}
	case Paused:
		switch {
		case now.Before(s.Until):
		case m.cpuOver() || m.memoryOver(): // something else uses that much: a try could only fail
			s.Until = now.Add(m.cfg.Retry)
		default:
			m.enter(Trying, now, now.Add(m.cfg.Retry))
			return resume
		}
	}
	return nothing
}

// resume ends a pause by hand. What went before no longer counts.
func (m *machine) resume(now time.Time, r Reading) action {
	m.measure(now, r)
	if !m.state.IsPaused() {
		return nothing
	}
	m.enter(Running, now, time.Time{})
	return resume
}

// failed takes note that what was to be resumed could not be. That is no fault of its usage: it is tried again, however often.
func (m *machine) failed(now time.Time, err error) {
	m.enter(Paused, now, now.Add(m.cfg.Retry))
	m.state.Why, m.state.Cause, m.state.Taken = fmt.Sprintf("it could not be resumed: %v", err), "", 0
}

// pause pauses for a while, or for good what was over again in its trial.
func (m *machine) pause(now time.Time, e excess) {
	if m.state.Phase == Trying {
		m.enter(Stopped, now, time.Time{})
	} else {
		m.enter(Paused, now, now.Add(m.cfg.Retry))
	}
	m.state.Why, m.state.Cause, m.state.Taken = e.why, e.cause, e.taken
	m.state.Pauses++
}

// enter begins a phase, in which what was used before does not count.
func (m *machine) enter(p Phase, now, until time.Time) {
	m.state.Phase, m.state.Since, m.state.Until, m.state.Over = p, now, until, time.Time{}
	m.cpu, m.mem = spell{}, spell{}
}

// measure works out the usage since the last reading and whether it is over. A clock that stands still or goes back measures nothing.
func (m *machine) measure(now time.Time, r Reading) {
	s := &m.state
	if m.at.IsZero() {
		m.at, m.last, s.Since, s.Memory = now, r, now, r.Memory
		return
	}
	if !now.After(m.at) {
		return
	}
	s.CPU, s.Memory = percent(max(0, r.CPU-m.last.CPU), now.Sub(m.at)), r.Memory // what is governed may have begun anew
	if m.cpu.from.IsZero() && m.cpuOver() {
		m.cpu = spell{from: m.at, cpu: m.last.CPU}
	} else if !m.cpu.from.IsZero() && m.meanCPU(now, r) <= m.cfg.CPU {
		m.cpu = spell{}
	}
	if !m.memoryOver() {
		m.mem = spell{}
	} else if m.mem.from.IsZero() {
		m.mem = spell{from: now} // unlike CPU time, memory is only known for the moment
	}
	s.Over = earlier(m.cpu.from, m.mem.from)
	m.at, m.last = now, r
}

// cpuOver and memoryOver tell of the latest interval and reading.
func (m *machine) cpuOver() bool    { return m.state.CPU > m.cfg.CPU }
func (m *machine) memoryOver() bool { return m.state.Memory > int64(m.cfg.Memory) }

// meanCPU is the mean of the spell that is going on.
func (m *machine) meanCPU(now time.Time, r Reading) float64 {
	return percent(r.CPU-m.cpu.cpu, now.Sub(m.cpu.from))
}

// excess is what has been over the limit for too long. The zero value stands for nothing.
type excess struct {
	cause Cause
	taken float64 // as State.Taken
	why   string  // for people
}

// tooLong says what has been over the limit for too long.
func (m *machine) tooLong(now time.Time) excess {
	if at := m.cpu.from; m.cpuOver() && now.Sub(at) >= m.cfg.Over {
		used := m.meanCPU(now, m.last)
		return excess{OverCPU, used, fmt.Sprintf("%.3g %% of a core used for %s, the limit is %g %%", used, rounded(now.Sub(at)), m.cfg.CPU)}
	}
	if at := m.mem.from; m.memoryOver() && now.Sub(at) >= m.cfg.Over {
		why := fmt.Sprintf("more than %s of memory used for %s: %d MiB now", m.cfg.Memory, rounded(now.Sub(at)), m.last.Memory>>20)
		return excess{OverMemory, float64(m.last.Memory), why}
	}
	return excess{}
}

func rounded(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }

// percent is how much of a core was used.
func percent(used, in time.Duration) float64 { return 100 * float64(used) / float64(in) }

// earlier returns the earlier time that is not zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
