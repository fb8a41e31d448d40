package assembly

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
)

// Pins is about servers whose clients accept no certificate of the gateway's.
type Pins struct {
	Approval string        `yaml:"approval" doc:"automatic: what was learnt is bypassed; required: only once a person has approved it"`
	Time     time.Duration `yaml:"time" doc:"how long what was learnt holds"`
	Clients  int           `yaml:"clients" doc:"how many different clients must agree before others are bypassed too"`
	Learnt   string        `yaml:"learnt" doc:"file that keeps what was learnt; with none, the gateway begins anew at each start"`
}

const (
	automatic = "automatic"
	required  = "required"
)

func defaultPins() Pins {
	return Pins{Approval: automatic, Time: pin.DefaultTime, Clients: pin.DefaultClients}
}

func (c *Pins) validate() error {
	switch {
	case c.Approval != automatic && c.Approval != required:
		return fmt.Errorf("pins.approval is %q: want %q or %q", c.Approval, automatic, required)
	case c.Time <= 0 || c.Clients < 1:
		return errors.New("pins.time and pins.clients must be more than 0")
	}
	return nil
}

// keeper keeps what was learnt in a file.
type keeper struct {
	table *pin.Table
	file  string // empty: none

	unread error // why nothing was taken from the file, though it is there

	mu    sync.Mutex
	saved uint64 // the revision in the file
}

// openPins returns the table, with what the file has kept, if there is one that can be read.
func openPins(c *Pins, dir string, now time.Time) *keeper {
	empty := func() *pin.Table {
		return pin.New(pin.Config{Time: c.Time, Clients: c.Clients, Approval: c.Approval == required})
	}
	k := &keeper{table: empty(), file: Beside(dir, c.Learnt)}
	if k.unread = k.read(now); k.unread != nil {
		k.table = empty() // it may have taken a part
	}
	k.saved = k.table.Revision()
	return k
}

// moveAside makes room where the file cannot be read, so that nothing of it is lost.
func (k *keeper) moveAside(log *slog.Logger) error {
	if k.unread == nil {
		return nil
	}
	aside := k.file + ".unreadable"
	if err := os.Rename(k.file, aside); err != nil {
		return fmt.Errorf("move pins.learnt aside, which cannot be read (%w): %w", k.unread, err)
	}
	log.Error("what was learnt of pinned certificates cannot be read: the gateway begins anew, and the file was moved aside", "component", "gateway", "file", aside, "err", k.unread)
	k.unread = nil
	return nil
}

func (k *keeper) read(now time.Time) error {
	if k.file == "" {
		return nil
	}
	text, err := os.ReadFile(k.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var saved []pin.Saved
	if err := json.Unmarshal(text, &saved); err != nil {
		return err
	}
	return k.table.Import(saved, now)
}

// pinsSaved is how often the file is brought up to date.
const pinsSaved = time.Minute

// keep writes what was learnt into the file, until ctx is done and once more.
func (k *keeper) keep(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(pinsSaved)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		if err := k.save(); err != nil {
			log.Error("what was learnt of pinned certificates is not saved", "component", "gateway", "err", err)
		}
	}
}

// save writes the file whole or not at all, if something has changed.
func (k *keeper) save() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.table.Revision()
	if k.file == "" || now == k.saved {
		return nil
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", " ")
	if err := e.Encode(k.table.Export(time.Now())); err != nil {
		return err
	}
	beside := filepath.Join(filepath.Dir(k.file), "."+filepath.Base(k.file)+".new")
	if err := writeSynced(beside, text.Bytes()); err != nil {
		return err
	}
	if err := os.Rename(beside, k.file); err != nil {
		return err
	}
	k.saved = now
	return nil
}

// writeSynced writes a file and makes sure that its content is there after a crash.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
