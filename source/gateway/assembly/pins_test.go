package assembly_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/assembly"
	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
)

// learnt opens a gateway that keeps pins in the folder, and returns it and what it has logged.
func learnt(t *testing.T, dir string) (*assembly.Assembly, *bytes.Buffer, error) {
	t.Helper()
	c := configured()
	c.Pins.Learnt = "pins.json"
	parts, err := c.Read(dir)
	check(t, err)
	log := new(bytes.Buffer)
	a, err := parts.Open(t.Context(), assembly.Options{}, slog.New(slog.NewJSONHandler(log, nil)))
	return a, log, err
}

// approve has somebody approve the pin of a server.
func approve(t *testing.T, a *assembly.Assembly, name string) {
	t.Helper()
	now := time.Now()
	a.Pins().Refuse(netip.MustParseAddr("10.0.0.1"), pin.Server{Name: name, Address: netip.MustParseAddrPort("192.0.2.1:443")}, pin.Refused, now)
	for _, p := range a.Pins().List(now) {
		check(t, a.Pins().Approve(p.ID))
	}
	check(t, a.SavePins())
}

func TestPinsOutliveTheGateway(t *testing.T) {
	dir := t.TempDir()
	a, log, err := learnt(t, dir)
	check(t, err)
	approve(t, a, "app.example")
	check(t, a.Close())
	again, _, err := learnt(t, dir)
	check(t, err)
	if list := again.Pins().List(time.Now()); len(list) != 1 || list[0].Name != "app.example" || list[0].State != pin.Approved {
		t.Errorf("kept %+v", list)
	}
	check(t, again.Close())
	if log.Len() > 0 {
		t.Errorf("logged %s", log)
	}
}

func TestPinsThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	file, aside := filepath.Join(dir, "pins.json"), filepath.Join(dir, "pins.json.unreadable")
	a, _, err := learnt(t, dir)
	check(t, err)
	approve(t, a, "app.example")
	check(t, a.Close())
	good, err := os.ReadFile(file)
	check(t, err)
	for name, text := range map[string]string{
		"no JSON": "not what it was",
		"half":    string(good[:len(good)/2]),
		// The first entry can be taken, the second cannot.
		"partly": strings.TrimSuffix(strings.TrimSpace(string(good)), "]") + `, {"name": "b.example", "state": "of mind"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			write(t, file, []byte(text))
			c := configured()
			c.Pins.Learnt = "pins.json"
			_, err := c.Read(dir)
			check(t, err)
			if kept, err := os.ReadFile(file); err != nil || string(kept) != text {
				t.Errorf("reading alone has changed the file: %q, %v", kept, err)
			}
			a, log, err := learnt(t, dir)
			check(t, err)
			if moved, err := os.ReadFile(aside); err != nil || string(moved) != text {
				t.Errorf("moved aside was %q, %v", moved, err)
			}
			if _, err := os.Stat(file); !os.IsNotExist(err) {
				t.Errorf("the file is still there: %v", err)
			}
			if got := events(t, log); len(got) != 1 || got[0]["level"] != "ERROR" || got[0]["file"] != aside {
				t.Errorf("logged %v", got)
			}
			if list := a.Pins().List(time.Now()); len(list) != 0 {
				t.Errorf("taken from what cannot be read: %+v", list)
			}
			approve(t, a, "c.example")
			check(t, a.Close())
			again, log, err := learnt(t, dir)
			check(t, err)
			if list := again.Pins().List(time.Now()); len(list) != 1 || list[0].Name != "c.example" || log.Len() > 0 {
				t.Errorf("begun anew, it kept %+v and logged %s", list, log)
			}
			check(t, again.Close())
		})
	}
}

// TestPinsThatCannotBeMovedAside does not start a gateway that would write over what was learnt.
func TestPinsThatCannotBeMovedAside(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pins.json")
	write(t, file, []byte("not what it was"))
	check(t, os.MkdirAll(filepath.Join(dir, "pins.json.unreadable", "in the way"), 0o700))
	if _, _, err := learnt(t, dir); err == nil || !strings.Contains(err.Error(), "pins.learnt") || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
	if kept, err := os.ReadFile(file); err != nil || string(kept) != "not what it was" {
		t.Errorf("the file is now %q, %v", kept, err)
	}
}
