package governor

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var epoch = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// load is a usage that stays the same for a number of seconds. An interval above one is the time between two readings.
type load struct {
	seconds  int
	cpu      int // percent of a core
	mib      int64
	interval int // seconds; 0 is 1
}

// driver feeds a machine by a clock of its own and notes what it wants.
type driver struct {
	machine
	now     time.Duration
	used    Reading
	actions []string
}

func newDriver(cfg Config) *driver {
	d := &driver{machine: New(cfg, Deps{Log: slog.New(slog.DiscardHandler)}).machine}
	d.note(d.observe(epoch, d.used))
	return d
}

func (d *driver) note(a action) {
	if a != nothing {
		d.actions = append(d.actions, fmt.Sprintf("%s %s", d.now, map[action]string{pause: "pause", resume: "resume"}[a]))
	}
}

func (d *driver) run(l load) {
	step := time.Duration(max(1, l.interval)) * time.Second
	for end := d.now + time.Duration(l.seconds)*time.Second; d.now < end; {
		d.now += step
		d.used.CPU += step * time.Duration(l.cpu) / 100
		d.used.Memory = l.mib << 20
		d.note(d.observe(epoch.Add(d.now), d.used))
	}
}

func TestMachine(t *testing.T) {
	quiet, busy := load{cpu: 10, mib: 100}, load{cpu: 90, mib: 100}
	for_ := func(l load, seconds int) load { l.seconds = seconds; return l }
	for name, c := range map[string]struct {
		loads   []load
		actions []string
		phase   Phase
	}{
		"quiet":                 {[]load{for_(quiet, 3600)}, nil, Running},
		"at the limit":          {[]load{{seconds: 3600, cpu: 60, mib: 500}}, nil, Running},
		"over for nine seconds": {[]load{for_(quiet, 60), for_(busy, 9), for_(quiet, 60)}, nil, Running},
		"over for ten seconds":  {[]load{for_(quiet, 60), for_(busy, 10)}, []string{"1m10s pause"}, Paused},
		"over from the start":   {[]load{for_(busy, 12)}, []string{"10s pause"}, Paused},
		"memory":                {[]load{{seconds: 20, cpu: 1, mib: 501}}, []string{"11s pause"}, Paused},
		"memory comes and goes": {[]load{{seconds: 9, mib: 600}, {seconds: 1, mib: 500}, {seconds: 10, mib: 600}}, nil, Running},
		"nearly over twice":     {[]load{for_(busy, 9), for_(quiet, 9), for_(busy, 9), for_(quiet, 9)}, nil, Running},
		"bursts":                {slices.Repeat([]load{{seconds: 1, cpu: 200}, {seconds: 1}}, 6), []string{"11s pause"}, Paused},
		"one burst":             {[]load{{seconds: 1, cpu: 400}, for_(quiet, 60)}, nil, Running},
		"a burst of many cores": {[]load{{seconds: 1, cpu: 3200}, for_(quiet, 60)}, nil, Running},
		"it comes back":         {[]load{{seconds: 1, cpu: 3200}, for_(quiet, 20), for_(busy, 1)}, []string{"22s pause"}, Paused},
		"starved of readings":   {[]load{for_(quiet, 60), {seconds: 30, cpu: 90, interval: 30}}, []string{"1m30s pause"}, Paused},
		"tried again":           {[]load{for_(busy, 10), for_(quiet, 600)}, []string{"10s pause", "10m10s resume"}, Trying},
		"not tried too early":   {[]load{for_(busy, 10), for_(quiet, 599)}, []string{"10s pause"}, Paused},
		"proved itself":         {[]load{for_(busy, 10), for_(quiet, 1200)}, []string{"10s pause", "10m10s resume"}, Running},
		"over again":            {[]load{for_(busy, 10), for_(quiet, 600), for_(busy, 10)}, []string{"10s pause", "10m10s resume", "10m20s pause"}, Stopped},
		"stays paused":          {[]load{for_(busy, 10), for_(quiet, 600), for_(busy, 10), for_(quiet, 86400)}, []string{"10s pause", "10m10s resume", "10m20s pause"}, Stopped},
		"over at the trial's end": {[]load{for_(busy, 10), for_(quiet, 1195), for_(busy, 10)},
			[]string{"10s pause", "10m10s resume", "20m15s pause"}, Stopped},
		"over after the trial": {[]load{for_(busy, 10), for_(quiet, 1200), for_(busy, 10), for_(quiet, 600)},
			[]string{"10s pause", "10m10s resume", "20m20s pause", "30m20s resume"}, Trying},
		"still over while paused": {[]load{for_(busy, 1000), for_(quiet, 300)}, []string{"10s pause", "20m10s resume"}, Trying},
		"memory not given back":   {[]load{{seconds: 1400, mib: 600}}, []string{"11s pause"}, Paused},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(DefaultConfig(false))
			for _, l := range c.loads {
				d.run(l)
			}
			if diff := cmp.Diff(c.actions, d.actions); diff != "" {
				t.Error(diff)
			}
			if d.state.Phase != c.phase {
				t.Errorf("phase is %s, want %s", d.state.Phase, c.phase)
			}
		})
	}
}

// TestCause wants what was over told in numbers too, for those who say it in other words.
func TestCause(t *testing.T) {
	for _, c := range []struct {
		load  load
		cause Cause
		taken float64
	}{
		{load{seconds: 10, cpu: 90, mib: 100}, OverCPU, 90},
		{load{seconds: 11, cpu: 1, mib: 501}, OverMemory, 501 << 20},
	} {
		d := newDriver(DefaultConfig(false))
		d.run(c.load)
		if s := d.state; s.Phase != Paused || s.Cause != c.cause || s.Taken != c.taken {
			t.Errorf("state is %+v, want %s by %g", s, c.cause, c.taken)
		}
		d.failed(epoch.Add(d.now), errors.New("no such hook"))
		if s := d.state; s.Cause != "" || s.Taken != 0 {
			t.Errorf("once it could not be resumed: %+v", s)
		}
	}
}

func TestResumeByHand(t *testing.T) {
	busy, quiet := load{seconds: 10, cpu: 90}, load{seconds: 600}
	for name, c := range map[string]struct {
		before []load
		want   action
	}{
		"running": {nil, nothing},
		"paused":  {[]load{busy}, resume},
		"trying":  {[]load{busy, quiet}, nothing},
		"stopped": {[]load{busy, quiet, busy}, resume},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(DefaultConfig(false))
			for _, l := range c.before {
				d.run(l)
			}
			phase := d.state.Phase
			if string(phase) != name {
				t.Fatalf("phase is %s", phase)
			}
			if got := d.resume(epoch.Add(d.now), d.used); got != c.want {
				t.Errorf("got action %d, want %d", got, c.want)
			}
			if c.want == nothing {
				if d.state.Phase != phase {
					t.Errorf("phase became %s", d.state.Phase)
				}
				return
			}
			if d.run(busy); d.state.Phase != Paused {
				t.Errorf("over after a resumption by hand: %s, want paused as if for the first time", d.state.Phase)
			}
		})
	}
}

func TestFailedResumption(t *testing.T) {
	d := newDriver(DefaultConfig(true))
	d.run(load{seconds: 10, cpu: 55})
	for range 3 { // a resumption that fails is no offence: it is tried for ever
		d.run(load{seconds: 600})
		if d.state.Phase != Trying {
			t.Fatalf("phase is %s", d.state.Phase)
		}
		d.failed(epoch.Add(d.now), errors.New("no such hook"))
		if d.state.Phase != Paused || !strings.Contains(d.state.Why, "no such hook") {
			t.Errorf("state is %+v", d.state)
		}
	}
	if d.state.Pauses != 1 {
		t.Errorf("%d pauses", d.state.Pauses)
	}
}

func TestStateForPeople(t *testing.T) {
	d := newDriver(DefaultConfig(false))
	var got []string
	for _, l := range []load{{seconds: 5}, {seconds: 10, cpu: 83}, {seconds: 600}, {seconds: 11, mib: 612}} {
		d.run(l)
		got = append(got, d.state.String())
	}
	want := []string{
		"running",
		"paused: 83 % of a core used for 10s, the limit is 60 %; will be tried again at 12:10:15",
		"running again after a pause (83 % of a core used for 10s, the limit is 60 %)",
		"paused until it is resumed by hand or restarted: more than 500MiB of memory used for 10s: 612 MiB now",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := d.state; s.Memory != 612<<20 || s.MemoryLimit != 500<<20 || s.CPULimit != 60 || s.Pauses != 2 || !s.IsPaused() || !s.Over.IsZero() {
		t.Errorf("state is %+v", s)
	}
}

func TestClockThatStandsStill(t *testing.T) {
	d := newDriver(DefaultConfig(false))
	for range 100 {
		d.used.CPU += time.Second
		d.note(d.observe(epoch, d.used))
		d.note(d.observe(epoch.Add(-time.Minute), d.used))
	}
	if d.actions != nil || d.state.CPU != 0 {
		t.Errorf("%v, %+v", d.actions, d.state)
	}
}

// TestUsageThatBeginsAnew has what is governed run in another thread from some moment on.
func TestUsageThatBeginsAnew(t *testing.T) {
	d := newDriver(DefaultConfig(false))
	d.run(load{seconds: 8, cpu: 90})
	d.used.CPU = 0
	if d.run(load{seconds: 1, cpu: 90}); d.state.CPU != 0 {
		t.Errorf("%.0f %% used", d.state.CPU)
	}
	if d.run(load{seconds: 9, cpu: 90}); d.actions != nil {
		t.Errorf("paused too early: %v", d.actions)
	}
	if d.run(load{seconds: 1, cpu: 90}); len(d.actions) != 1 {
		t.Errorf("not paused: %v", d.actions)
	}
}

// TestProperties drives machines by random loads: none flaps, none is paused without reason, none lets a load pass that is over for long.
func TestProperties(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		cfg := DefaultConfig(seed%2 == 0)
		cfg.Over, cfg.Retry = time.Duration(1+r.IntN(20))*time.Second, time.Duration(20+r.IntN(100))*time.Second
		d := newDriver(cfg)
		high := r.IntN(250)
		var log history
		for range 200 {
			l := load{seconds: 1 + r.IntN(15), interval: 1 + r.IntN(3), mib: int64(r.IntN(560))}
			if r.IntN(3) > 0 {
				l.cpu = r.IntN(high + 1)
			}
			for end := d.now + time.Duration(l.seconds)*time.Second; d.now < end; {
				before := d.state.Phase
				l.seconds = 1
				d.run(l)
				log.add(d, before)
			}
		}
		log.check(t, d, seed)
	}
}

// history is what has happened, from the outside.
type history struct {
	phases []Phase // after each reading
	times  []time.Duration
	cpu    []time.Duration
	over   []bool // memory
	faults []string
}

func (h *history) add(d *driver, before Phase) {
	h.phases = append(h.phases, d.state.Phase)
	h.times = append(h.times, d.now)
	h.cpu = append(h.cpu, d.used.CPU)
	h.over = append(h.over, d.used.Memory > int64(d.cfg.Memory))
	if before == Stopped && d.state.Phase != Stopped {
		h.faults = append(h.faults, fmt.Sprintf("%s: left stopped for %s by itself", d.now, d.state.Phase))
	}
}

func (h *history) check(t *testing.T, d *driver, seed uint64) {
	t.Helper()
	paused := func(i int) bool { return h.phases[i] == Paused || h.phases[i] == Stopped }
	began := 0 // reading at which the present run or pause began
	for i := 1; i < len(h.phases); i++ {
		for _, from := range []int{began, began + 1} { // whoever runs for Over with a higher mean than allowed is paused
			if from <= i && !paused(i) && h.times[i]-h.times[from] == d.cfg.Over && h.alwaysOver(from, i, d.cfg) {
				h.faults = append(h.faults, fmt.Sprintf("%s: over since %s and not paused", h.times[i], h.times[from]))
			}
		}
		if paused(i) == paused(i-1) {
			continue
		}
		least := d.cfg.Retry
		if paused(i) {
			least = d.cfg.Over
		}
		if took := h.times[i] - h.times[began]; began > 0 && took < least {
			h.faults = append(h.faults, fmt.Sprintf("%s: %s after only %s", h.times[i], h.phases[i], took))
		}
		began = i
	}
	for _, f := range h.faults {
		t.Errorf("seed %d: %s", seed, f)
	}
}

// alwaysOver tells whether each reading after from, up to i, was over.
func (h *history) alwaysOver(from, i int, cfg Config) bool {
	cpu, memory := true, true
	for k := from + 1; k <= i; k++ {
		cpu = cpu && percent(h.cpu[k]-h.cpu[k-1], h.times[k]-h.times[k-1]) > cfg.CPU
		memory = memory && h.over[k] && h.over[from]
	}
	return i > from && (cpu || memory)
}

func TestMeanIsKept(t *testing.T) {
	// Whatever the load, who was never paused has kept the budget in the mean, but for the last spell.
	paused := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		d := newDriver(DefaultConfig(false))
		for range 2000 {
			d.run(load{seconds: 1, cpu: r.IntN(100 + int(seed)/10)})
		}
		paused += len(d.actions)
		if mean := percent(d.used.CPU, d.now); d.actions == nil && mean > 60.5 {
			t.Errorf("seed %d: %.1f %% in the mean and never paused", seed, mean)
		}
	}
	if paused == 0 {
		t.Error("no load was ever too high: this test says nothing")
	}
}
