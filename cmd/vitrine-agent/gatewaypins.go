package main

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
	"time"

	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
)

// pinsConfig is about servers whose clients accept no certificate of the gateway's.
type pinsConfig struct {
	Approval string        `yaml:"approval" doc:"automatic: what was learnt is bypassed; required: only once a person has approved it"`
	Time     time.Duration `yaml:"time" doc:"how long what was learnt holds"`
	Clients  int           `yaml:"clients" doc:"how many different clients must agree before others are bypassed too"`
	Learnt   string        `yaml:"learnt" doc:"file that keeps what was learnt; with none, the gateway begins anew at each start"`
}

const (
	automatic = "automatic"
	required  = "required"
)

func defaultPins() pinsConfig {
	return pinsConfig{Approval: automatic, Time: pin.DefaultTime, Clients: pin.DefaultClients}
}

func (c *pinsConfig) validate() error {
	switch {
	case c.Approval != automatic && c.Approval != required:
		return fmt.Errorf("pins.approval is %q: want %q or %q", c.Approval, automatic, required)
	case c.Time <= 0 || c.Clients < 1:
		return errors.New("pins.time and pins.clients must be more than 0")
	}
	return nil
}

// openPins returns the table, with what the file has kept, if there is one.
func openPins(c pinsConfig, file string, now time.Time) (*pin.Table, error) {
	t := pin.New(pin.Config{Time: c.Time, Clients: c.Clients, Approval: c.Approval == required})
	if file == "" {
		return t, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	var saved []pin.Saved
	if err == nil {
		err = json.Unmarshal(text, &saved)
	}
	if err == nil {
		err = t.Import(saved, now)
	}
	if err != nil {
		return nil, fmt.Errorf("read pins.learnt: %w", err)
	}
	return t, nil
}

// pinsSaved is how often the file is brought up to date.
const pinsSaved = time.Minute

// keepPins writes what was learnt into the file, until ctx is done and once more.
func keepPins(ctx context.Context, file string, t *pin.Table, log *slog.Logger) {
	saved := t.Revision()
	tick := time.NewTicker(pinsSaved)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		now := t.Revision()
		if now == saved {
			continue
		}
		if err := savePins(file, t); err != nil {
			log.Error("what was learnt of pinned certificates is not saved", "component", "gateway", "err", err)
			continue
		}
		saved = now
	}
}

// savePins writes the file whole or not at all.
func savePins(file string, t *pin.Table) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", " ")
	if err := e.Encode(t.Export(time.Now())); err != nil {
		return err
	}
	beside := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".new")
	if err := os.WriteFile(beside, text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(beside, file)
}
