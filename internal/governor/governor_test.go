package governor

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRunByFakeClock runs a whole day: over, paused, tried, over again, paused for good, resumed by hand.
func TestRunByFakeClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var log []string
		note := func(what string) { log = append(log, time.Since(start).Round(time.Second).String()+" "+what) }
		busy, failures := true, 1
		var used time.Duration
		var at time.Time
		var g *Governor
		g = New(DefaultConfig(false), Deps{
			Name: "probe",
			Read: func() (Reading, error) {
				if busy && !at.IsZero() {
					used += time.Since(at)
				}
				at = time.Now()
				return Reading{CPU: used, Memory: 90 << 20}, nil
			},
			Pause: func(why string) error {
				if !strings.Contains(why, "100 % of a core used for 10s") {
					t.Errorf("paused because %q", why)
				}
				busy = false
				note("paused, after " + string(g.State().Phase))
				return nil
			},
			Resume: func() error {
				if failures--; failures == 0 {
					note("failed")
					return errors.New("not yet")
				}
				busy = true
				note("resumed")
				return nil
			},
			Log: testkit.Logger(t),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		time.Sleep(24*time.Hour + time.Second/2)
		if s := g.State(); s.Phase != Stopped || s.Pauses != 2 {
			t.Errorf("after a day: %+v", s)
		}
		g.Resume()
		g.Resume() // asked for twice, done once
		time.Sleep(5 * time.Second)
		if s := g.State(); s.Phase != Running || s.Over.IsZero() || s.CPU < 99 {
			t.Errorf("resumed by hand: %+v", s)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := []string{"10s paused, after running", "10m10s failed", "20m10s resumed", "20m20s paused, after trying", "24h0m1s resumed"}
		if diff := cmp.Diff(want, log); diff != "" {
			t.Error(diff)
		}
	})
}

func TestUsageThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		g := New(DefaultConfig(false), Deps{Log: testkit.Logger(t), Read: func() (Reading, error) {
			if reads++; reads > 3 {
				return Reading{}, errors.New("gone")
			}
			return Reading{}, nil
		}})
		if err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "gone") {
			t.Errorf("got %v", err)
		}
	})
}

func TestFailedPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := func() (Reading, error) { return Reading{Memory: 1 << 40}, nil }
		g := New(DefaultConfig(false), Deps{Name: "probe", Log: testkit.Logger(t), Read: read, Pause: func(string) error { return errors.New("stuck") }})
		if err := g.Run(t.Context()); err == nil || err.Error() != "pause the probe: stuck" {
			t.Errorf("got %v", err)
		}
	})
}

// TestReal burns a core of this machine until it is paused, is resumed once it has cooled down, and burns again.
func TestReal(t *testing.T) {
	var burning atomic.Bool
	burning.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	burned, ran := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(burned)
		for ctx.Err() == nil {
			if burning.Load() {
				for range 1 << 16 { // some 50 µs
				}
				continue
			}
			time.Sleep(time.Millisecond)
		}
	}()
	happened := make(chan bool, 10) // it was paused
	cfg := Config{CPU: 20, Memory: 8 << 30, Over: 500 * time.Millisecond, Retry: time.Second}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	g := New(cfg, Deps{
		Pause: func(string) error {
			burning.Store(false)
			happened <- true
			return nil
		},
		Resume: func() error {
			burning.Store(true)
			happened <- false
			return nil
		},
		Log: testkit.Logger(t),
	})
	go func() { ran <- g.Run(ctx) }()
	for _, want := range []bool{true, false, true} {
		select {
		case got := <-happened:
			if got != want {
				t.Errorf("paused %t, want %t", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("neither paused nor resumed within 30 s: %+v", g.State())
		}
	}
	g.Resume()
	if paused := <-happened; paused {
		t.Errorf("resumed by hand: %s", g.State())
	}
	cancel()
	<-burned
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func TestMeter(t *testing.T) {
	m := Meter{ExtraCPU: func() time.Duration { return time.Hour }, ExtraMemory: func() int64 { return 1 << 40 }}
	before, err := m.Read()
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<20)
	for i := 0; i < len(block); i += 1 << 10 {
		block[i] = 1
	}
	for start := time.Now(); time.Since(start) < 50*time.Millisecond; {
	}
	after, err := m.Read()
	if err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(block)
	if before.CPU < time.Hour || before.Memory < 1<<40 {
		t.Errorf("without the extra: %+v", before)
	}
	if cpu := after.CPU - before.CPU; cpu < 10*time.Millisecond || cpu > 10*time.Second {
		t.Errorf("burned for 50 ms: %s", cpu)
	}
	if memory := (after.Memory - before.Memory) >> 20; memory < 48 || memory > 256 {
		t.Errorf("used 64 MiB: %d MiB", memory)
	}
	if bare, err := new(Meter).Read(); err != nil || bare.CPU > time.Hour || bare.Memory > 1<<40 || bare.Memory < 64<<20 {
		t.Errorf("bare meter: %+v, %v", bare, err)
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // empty: valid
	}{
		"default":         {func(*Config) {}, ""},
		"no CPU time":     {func(c *Config) { c.CPU = 0 }, "cpu"},
		"several cores":   {func(c *Config) { c.CPU = 400 }, ""},
		"too little":      {func(c *Config) { c.Memory = 1 << 20 }, "memory"},
		"at once":         {func(c *Config) { c.Over = 0 }, "over"},
		"would flap":      {func(c *Config) { c.Retry = time.Second }, "retry"},
		"negative pauses": {func(c *Config) { c.Retry = -time.Hour }, "retry"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig(true)
			c.change(&cfg)
			err := cfg.Validate()
			if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want one that begins with %q", err, c.want)
			}
		})
	}
	if host, container := DefaultConfig(false), DefaultConfig(true); host.CPU != 60 || container.CPU != 50 || host.Memory != 500<<20 {
		t.Errorf("defaults are %+v, %+v", host, container)
	}
}
