// Package filters keeps the filter that says whose plaintext the probe takes: it finds mistakes in one that somebody wrote, and
// remembers the last that was set, so that it holds from the first moment after a restart. It knows nothing of HTTP, and does not
// decide what a filter fits: the probe does.
package filters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/state"
)

// The modes of a filter.
const (
	Everything = "everything"
	Only       = "only"
	Except     = "except"
)

// Mistake is what is wrong with a filter, and where. The probe may find some that Check can't.
type Mistake struct {
	Field   string // path in the JSON form, such as rules[2].ports[0]
	Message string // what is wrong and what would be right
}

func (m *Mistake) Error() string { return m.Field + ": " + m.Message }

// Check returns the mistakes in a filter whose lengths and enumerations are right already.
func Check(f api.ProbeFilter) []*Mistake {
	var found []*Mistake
	add := func(field, message string) { found = append(found, &Mistake{field, message}) }
	switch {
	case f.Mode == Everything && len(f.Rules) > 0:
		add("rules", "a filter that takes everything has no rules: remove them, or choose another mode")
	case f.Mode != Everything && len(f.Rules) == 0:
		add("rules", "at least one rule is needed in this mode")
	}
	for i, r := range f.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		if reflect.ValueOf(r).IsZero() || reflect.DeepEqual(r, api.ProbeRule{Ports: []string{}}) {
			add(at, "the rule says nothing, so that it would fit every process: fill in at least one field")
		}
		for _, text := range []struct{ name, value string }{
			{"exe", r.Exe}, {"name", r.Name}, {"command_line", r.CommandLine}, {"image", r.Image}, {"namespace", r.Namespace}, {"user", r.User},
		} {
			if strings.ContainsFunc(text.value, unicode.IsControl) {
				add(at+"."+text.name, "there is a control character in it")
			} else if text.value != strings.TrimSpace(text.value) {
				add(at+"."+text.name, "it begins or ends with a space, and would fit nothing")
			}
		}
		if strings.ContainsAny(r.User, "*?") {
			add(at+".user", "it is a name or a number, without wildcards")
		}
		for j, p := range r.Ports {
			if _, _, err := Ports(p); err != nil {
				add(fmt.Sprintf("%s.ports[%d]", at, j), err.Error())
			}
		}
	}
	return found
}

// Ports returns the first and the last port of a rule's text, which is one port or a range: 443 or 8000-8999.
func Ports(text string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	if errA != nil || errB != nil || a == 0 {
		return 0, 0, errors.New("it is neither a port from 1 to 65535 nor a range such as 8000-8999")
	}
	if b < a {
		return 0, 0, errors.New("the range ends before it begins")
	}
	return uint16(a), uint16(b), nil
}

// Kept is a filter that was set, and what there was before.
type Kept struct {
	Filter   api.ProbeFilter `json:"filter"`
	Previous api.ProbeFilter `json:"previous"`
	Changed  time.Time       `json:"changed"`
	Actor    string          `json:"actor"`
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
