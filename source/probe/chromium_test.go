package probe_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source/probe"
)

// TestBesideUnseen has Chromium, whose traffic goes through a BoringSSL of its own without symbols. It loads GnuTLS and NSPR of the system,
// too: nobody may take it for a program that is seen.
func TestBesideUnseen(t *testing.T) {
	w := watch(t, probe.Config{})
	home := t.TempDir()
	cmd := exec.Command(testkit.Need(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+home, "--remote-debugging-port=0", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		for begun := time.Now(); os.RemoveAll(home) != nil && time.Since(begun) < patience; { // its children may write to the last
			time.Sleep(20 * time.Millisecond)
		}
	}()
	states := map[string]event.Coverage{} // now, by library
	w.until(t, "what is to be said of Chromium", func() bool {
		clear(states)
		for _, c := range w.coverage {
			if c.Process.PID == cmd.Process.Pid {
				states[c.Library] = c.Coverage
			}
		}
		return states["boringssl"].State != "" && len(states) > 1
	})
	if own := states["boringssl"]; own.State != event.NotCovered || own.Reason != event.NoSymbols {
		t.Errorf("its own library is %+v", own)
	}
	for name, c := range states {
		if name != "boringssl" && (c.State != event.PartlyCovered || c.Reason != event.BesideUnseen || !strings.Contains(c.Detail, "boringssl in ")) {
			t.Errorf("of %s is said: %+v", name, c)
		}
	}
	if slices.ContainsFunc(w.Coverage(), func(c probe.Coverage) bool { return c.Process.PID == cmd.Process.Pid && c.State == event.Covered }) {
		t.Error("Chromium is listed as seen")
	}
}
