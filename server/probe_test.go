package server

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/filters"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
)

// oneProcess is a probe on a machine with one process.
type oneProcess struct {
	mu     sync.Mutex
	rules  filter.Rules
	paused bool
}

var curl = flow.Process{PID: 4711, Name: "curl", Exe: "/usr/bin/curl", CommandLine: "curl -u ann:secret https://shop.example/", UID: 1000, Start: time.Unix(1700000000, 0).UTC()}

func (p *oneProcess) Status() api.Probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused {
		return api.Probe{State: "paused", Reason: "paused_over_budget", Cause: "over_cpu", Taken: 0.8, Detail: "it took 80 % of a core"}
	}
	return api.Probe{State: "running", CPU: 0.02, CPULimit: 0.6}
}

func (p *oneProcess) Coverage() []api.ProcessCoverage {
	return []api.ProcessCoverage{{
		Process: curl, Coverage: event.Coverage{State: event.Covered, Library: "openssl", Version: "3.0.19", Path: "/usr/lib/libssl.so.3"},
		Since: time.Unix(1700000001, 0).UTC(), Bytes: 512,
	}}
}

func (p *oneProcess) Filter() filter.Rules {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules
}

func (p *oneProcess) SetFilter(_ context.Context, rules filter.Rules) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = rules
	return nil
}

func (p *oneProcess) Resume(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.paused {
		return ErrNotPaused
	}
	p.paused = false
	return nil
}

// withProbe opens a server on a machine whose probe takes everything.
func withProbe(t *testing.T, p *oneProcess) *site {
	return open(t, func(_ *Config, d *Deps) { d.Probe = p })
}

func TestProbeThatIsOff(t *testing.T) {
	s := open(t, func(_ *Config, d *Deps) {
		d.Roles = func() []api.RoleOf {
			return []api.RoleOf{{Name: "probe", Why: "seeing into processes needs root", Off: api.NotRoot}}
		}
	})
	admin := s.admin()
	if got := get[api.Probe](admin, "/api/v1/probe"); got.State != "off" || got.Detail != "seeing into processes needs root" || got.Off != api.NotRoot || got.Capabilities == nil {
		t.Errorf("got %+v", got)
	}
	if got := get[api.ProbeCoverage](admin, "/api/v1/probe/coverage"); got.Processes == nil || len(got.Processes) != 0 {
		t.Errorf("got %+v", got)
	}
	if got := get[api.ProbeFilterState](admin, "/api/v1/probe/filter"); got.Filter.Mode != filter.Everything || got.Previous != nil {
		t.Errorf("got %+v", got)
	}
	filter := filter.Rules{Mode: filter.Everything, Rules: []filter.Rule{}}
	for _, route := range [][2]string{{http.MethodPut, "/api/v1/probe/filter"}, {http.MethodPost, "/api/v1/probe/filter/preview"}, {http.MethodPost, "/api/v1/probe/resume"}} {
		if a := admin.do(route[0], route[1], filter); a.status != 409 || !strings.HasSuffix(a.detail(), "needs root.") {
			t.Errorf("%v: %d %s", route, a.status, a.body)
		}
	}
}

func TestCoverage(t *testing.T) {
	s := withProbe(t, &oneProcess{})
	got := get[api.ProbeCoverage](s.analyst(), "/api/v1/probe/coverage")
	want := api.ProbeCoverage{Processes: new(oneProcess).Coverage()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	want.Processes[0].Process.CommandLine = ""
	if diff := cmp.Diff(want, get[api.ProbeCoverage](s.viewer(), "/api/v1/probe/coverage")); diff != "" {
		t.Errorf("to a viewer: %s", diff)
	}
}

func TestFilterIsSetAuditedAndKept(t *testing.T) {
	p := &oneProcess{}
	s := withProbe(t, p)
	admin := s.admin()
	first := filter.Rules{Mode: filter.Except, Rules: []filter.Rule{{Exe: "/usr/bin/*", Ports: []string{"443", "8000-8999"}, Direction: filter.Outgoing}}}
	second := filter.Rules{Mode: filter.Only, Rules: []filter.Rule{{User: "www-data"}}}
	for _, f := range []filter.Rules{first, second} {
		if a := admin.do(http.MethodPut, "/api/v1/probe/filter", f); a.status != 200 {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	if diff := cmp.Diff(second, p.Filter()); diff != "" {
		t.Errorf("in force: %s", diff)
	}
	got := get[api.ProbeFilterState](admin, "/api/v1/probe/filter")
	if got.Changed == nil || time.Since(*got.Changed) > time.Minute {
		t.Errorf("changed %v", got.Changed)
	}
	got.Changed = nil
	if diff := cmp.Diff(api.ProbeFilterState{Filter: second, Previous: &first, Actor: "admin"}, got); diff != "" {
		t.Error(diff)
	}
	kept, ok, err := filters.Load(t.Context(), s.state)
	if err != nil || !ok || !cmp.Equal(kept.Filter, second) || !cmp.Equal(kept.Previous, first) {
		t.Errorf("kept %+v, %v, %v", kept, ok, err)
	}
	text, err := json.Marshal(second)
	must(t, err)
	if got, want := s.audited(), "admin probe.filter "+string(text)+" ok"; !slices.Contains(got, want) {
		t.Errorf("audited %q, want %q in it", got, want)
	}
}

func TestMistakesInFilters(t *testing.T) {
	p := &oneProcess{}
	s := withProbe(t, p)
	admin := s.admin()
	for _, tc := range []struct{ name, filter, location string }{
		{"no mode", `{"rules":[]}`, "body.mode"},
		{"unknown mode", `{"mode":"some","rules":[]}`, "body.mode"},
		{"unknown field", `{"mode":"only","rules":[{"exec":"a"}]}`, "body.rules[0].exec"},
		{"no rules", `{"mode":"only","rules":[]}`, "body.rules"},
		{"null rules", `{"mode":"only","rules":null}`, "body.rules"},
		{"rules for everything", `{"mode":"everything","rules":[{"pid":1}]}`, "body.rules"},
		{"too many rules", `{"mode":"only","rules":[` + strings.Repeat(`{"pid":1},`, 64) + `{"pid":1}]}`, "body.rules"},
		{"rule without a field", `{"mode":"except","rules":[{"pid":1},{"ports":[]}]}`, "body.rules[1]"},
		{"bad pid", `{"mode":"only","rules":[{"pid":-1}]}`, "body.rules[0].pid"},
		{"long text", `{"mode":"only","rules":[{"name":"` + strings.Repeat("x", 2000) + `"}]}`, "body.rules[0].name"},
		{"newline", `{"mode":"only","rules":[{"command_line":"a\nb"}]}`, "body.rules[0].command_line"},
		{"space around", `{"mode":"only","rules":[{"pid":1},{"exe":"/bin/sh "}]}`, "body.rules[1].exe"},
		{"user with a wildcard", `{"mode":"only","rules":[{"user":"www-*"}]}`, "body.rules[0].user"},
		{"unknown user", `{"mode":"only","rules":[{"user":"ghost"}]}`, "body.rules[0].user"},
		{"port 0", `{"mode":"only","rules":[{"ports":["443","0"]}]}`, "body.rules[0].ports[1]"},
		{"range the wrong way round", `{"mode":"only","rules":[{"ports":["9-8"]}]}`, "body.rules[0].ports[0]"},
		{"unknown direction", `{"mode":"only","rules":[{"direction":"up"}]}`, "body.rules[0].direction"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, route := range [][2]string{{http.MethodPut, "/api/v1/probe/filter"}, {http.MethodPost, "/api/v1/probe/filter/preview"}} {
				a := admin.do(route[0], route[1], json.RawMessage(tc.filter))
				var problem struct {
					Errors []struct{ Message, Location string }
				}
				must(t, json.Unmarshal([]byte(a.body), &problem))
				if a.status != 422 || len(problem.Errors) == 0 || !locates(problem.Errors[0].Location, problem.Errors[0].Message, tc.location) {
					t.Errorf("%v: %d %s", route, a.status, a.body)
				}
			}
		})
	}
	if got := p.Filter(); got.Mode != "" {
		t.Errorf("a mistake is in force: %+v", got)
	}
	if _, ok, err := filters.Load(t.Context(), s.state); ok || err != nil {
		t.Errorf("a mistake was kept: %v", err)
	}
}

// locates tells whether an error names a place; a field that is missing or too many is named by its message, and the place is its parent.
func locates(location, message, want string) bool {
	parent, field := want[:strings.LastIndex(want, ".")], want[strings.LastIndex(want, ".")+1:]
	return location == want || location == parent && strings.Contains(message, field)
}

func TestPreviewChangesNothing(t *testing.T) {
	p := &oneProcess{}
	s := withProbe(t, p)
	admin := s.admin()
	for _, tc := range []struct {
		rules filter.Rules
		want  string
	}{
		{filter.Rules{Mode: filter.Only, Rules: []filter.Rule{{Name: "curl"}}}, "yes"},
		{filter.Rules{Mode: filter.Except, Rules: []filter.Rule{{Name: "curl"}}}, "no"},
		{filter.Rules{Mode: filter.Only, Rules: []filter.Rule{{Name: "curl", Ports: []string{"443"}}}}, "partly"},
	} {
		a := admin.do(http.MethodPost, "/api/v1/probe/filter/preview", tc.rules)
		var got api.FilterPreview
		must(t, json.Unmarshal([]byte(a.body), &got))
		if diff := cmp.Diff(api.FilterPreview{Processes: []api.FilteredProcess{{Process: curl, Seen: tc.want}}}, got); a.status != 200 || diff != "" {
			t.Errorf("%+v: %d %s", tc.rules, a.status, diff)
		}
	}
	if diff := cmp.Diff(filter.Rules{}, p.Filter()); diff != "" {
		t.Errorf("the filter was changed: %s", diff)
	}
}

func TestResume(t *testing.T) {
	s := withProbe(t, &oneProcess{paused: true})
	admin := s.admin()
	if got := get[api.Probe](admin, "/api/v1/probe"); got.State != "paused" || got.Cause != "over_cpu" || got.Taken != 0.8 {
		t.Errorf("got %+v", got)
	}
	if a := admin.do(http.MethodPost, "/api/v1/probe/resume", nil); a.status != 200 || !strings.Contains(a.body, `"running"`) {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if a := admin.do(http.MethodPost, "/api/v1/probe/resume", nil); a.status != 409 {
		t.Errorf("while it runs: %d %s", a.status, a.body)
	}
	audited := s.audited()
	if !slices.Contains(audited, "admin probe.resume  ok") || !slices.Contains(audited, "admin probe.resume  failed") {
		t.Errorf("audited %q", audited)
	}
}
