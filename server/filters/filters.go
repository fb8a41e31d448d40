// Package filters remembers the filter that somebody set for the probe, so that it holds from the first moment after a restart. Rules
// go in and come out; what they mean is the probe's business.
package filters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/vitrine-ndr/vitrine/source/probe/filter"
	"github.com/vitrine-ndr/vitrine/state"
)

// Kept is a filter that was set, and what there was before.
type Kept struct {
	Filter   filter.Rules `json:"filter"`
	Previous filter.Rules `json:"previous"`
	Changed  time.Time    `json:"changed"`
	Actor    string       `json:"actor"`
}

// setting is the name under which the state keeps it.
const setting = "probe.filter"

// Load returns what was set last, or false if nothing ever was: then the configuration's filter holds. Give it to the probe before it takes
// its first hook, so that nothing is seen that must not be.
func Load(ctx context.Context, db *state.DB) (Kept, bool, error) {
	text, err := db.Setting(ctx, setting)
	if errors.Is(err, state.ErrNotFound) {
		return Kept{}, false, nil
	}
	if err != nil {
		return Kept{}, false, err
	}
	var k Kept
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return Kept{}, false, fmt.Errorf("read the probe's filter: %w", err)
	}
	return k, true, nil
}

// Save keeps a filter over restarts.
func Save(ctx context.Context, db *state.DB, k Kept) error {
	text, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("keep the probe's filter: %w", err)
	}
	return db.SetSetting(ctx, setting, string(text))
}
