package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/filters"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
	"github.com/vitrine-ndr/vitrine/state"
)

// Probe sees into the processes of this machine. Its methods may be called concurrently, and return what the caller may keep.
type Probe interface {
	// Status tells how the probe is doing. Its lists may be nil.
	Status() api.Probe
	// Coverage returns the processes that use TLS now, one entry for each library of each.
	Coverage() []api.ProcessCoverage
	// Filter returns the rules in force.
	Filter() filter.Rules
	// SetFilter puts rules in force that filter.Compile takes. After an error those before stay.
	SetFilter(ctx context.Context, rules filter.Rules) error
	// Resume makes a paused probe try again now. ErrNotPaused says that it is not paused.
	Resume(ctx context.Context) error
}

// ErrNotPaused is returned by a Probe that is asked to resume and is not paused.
var ErrNotPaused = errors.New("the probe is not paused")

type probeOutput struct{ Body api.Probe }

type coverageOutput struct{ Body api.ProbeCoverage }

type filterInput struct{ Body filter.Rules }

type filterOutput struct{ Body api.ProbeFilterState }

type previewOutput struct{ Body api.FilterPreview }

func (s *Server) registerProbe(a huma.API) {
	register(s, a, operation("get-probe", http.MethodGet, "/api/v1/probe", "probe", CanSearch, "How is the probe doing",
		"Whether the probe of the server's machine runs, and if not, why; what it takes of the machine; what the kernel lets it do; what it lost."), s.getProbe)
	register(s, a, operation("list-coverage", http.MethodGet, "/api/v1/probe/coverage", "probe", CanSearch, "List the coverage of processes",
		"Returns the processes of the server's machine that use TLS: whether the probe sees their plaintext, and if not, why. Command lines are only for those who may read content."), s.listCoverage)
	register(s, a, operation("get-probe-filter", http.MethodGet, "/api/v1/probe/filter", "probe", CanSearch, "Read the probe's filter",
		"Returns whose plaintext the probe takes, and the filter before."), s.getFilter)
	register(s, a, operation("set-probe-filter", http.MethodPut, "/api/v1/probe/filter", "probe", CanAdminister, "Change the probe's filter",
		"Puts a filter in force at once. It outlives restarts, and from then on takes the place of the configuration's. A mistake is answered with 422; errors[].location says where it is. The change is recorded in the audit trail.",
		http.StatusConflict, http.StatusUnprocessableEntity), s.setFilter)
	register(s, a, operation("preview-probe-filter", http.MethodPost, "/api/v1/probe/filter/preview", "probe", CanAdminister, "Try a filter",
		"Says which of the processes that use TLS now a filter would let the probe see into. Nothing is changed.",
		http.StatusConflict, http.StatusUnprocessableEntity), s.previewFilter)
	register(s, a, operation("resume-probe", http.MethodPost, "/api/v1/probe/resume", "probe", CanAdminister, "Let the probe go on",
		"Makes a paused probe try again now, and not only at its next try. If it is still over a limit, it pauses again.", http.StatusConflict), s.resumeProbe)
}

func (s *Server) getProbe(context.Context, *nothing) (*probeOutput, error) {
	out := api.Probe{State: "off"}
	if s.deps.Probe != nil {
		out = s.deps.Probe.Status()
	} else {
		role := s.role("probe")
		out.Off, out.Detail = role.Off, role.Why
	}
	out.Capabilities, out.Libraries, out.Lost = listOf(out.Capabilities), listOf(out.Libraries), listOf(out.Lost)
	return &probeOutput{out}, nil
}

// role returns what is said of a role; nothing if there is none of the name.
func (s *Server) role(name string) api.RoleOf {
	for _, r := range s.deps.Roles() {
		if r.Name == name {
			return r
		}
	}
	return api.RoleOf{}
}

// listOf makes an empty list of none: the API never sends null for one.
func listOf[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (s *Server) listCoverage(ctx context.Context, _ *nothing) (*coverageOutput, error) {
	out := api.ProbeCoverage{Processes: []api.ProcessCoverage{}}
	if s.deps.Probe == nil {
		return &coverageOutput{out}, nil
	}
	out.Processes = listOf(s.deps.Probe.Coverage())
	if !caller(ctx).may(CanContent) {
		for i := range out.Processes {
			out.Processes[i].Process.CommandLine = ""
		}
	}
	return &coverageOutput{out}, nil
}

func (s *Server) getFilter(ctx context.Context, _ *nothing) (*filterOutput, error) {
	kept, changed, err := filters.Load(ctx, s.deps.State)
	if err != nil {
		return nil, err
	}
	out := api.ProbeFilterState{Filter: kept.Filter}
	if changed {
		out.Previous, out.Changed, out.Actor = new(shown(kept.Previous)), &kept.Changed, kept.Actor
	}
	if s.deps.Probe != nil {
		out.Filter = s.deps.Probe.Filter()
	}
	out.Filter = shown(out.Filter)
	return &filterOutput{out}, nil
}

// shown returns rules with everything said that the zero Rules leave out.
func shown(r filter.Rules) filter.Rules {
	return filter.Rules{Mode: cmp.Or(r.Mode, filter.Everything), Rules: listOf(r.Rules)}
}

func (s *Server) setFilter(ctx context.Context, in *filterInput) (*filterOutput, error) {
	if _, err := s.compile(in.Body); err != nil {
		return nil, err
	}
	text, err := json.Marshal(in.Body)
	if err != nil {
		return nil, err
	}
	s.filtering.Lock() // so that what is kept is what is in force
	defer s.filtering.Unlock()
	actor, before := caller(ctx).name, s.deps.Probe.Filter()
	if err := s.audit(ctx, actor, "probe.filter", string(text), state.OK); err != nil {
		return nil, err
	}
	if err := s.deps.Probe.SetFilter(ctx, in.Body); err != nil {
		_ = s.audit(ctx, actor, "probe.filter", string(text), state.FailedToDo)
		return nil, err
	}
	kept := filters.Kept{Filter: in.Body, Previous: before, Changed: time.Now().UTC().Truncate(time.Millisecond), Actor: actor}
	if err := filters.Save(ctx, s.deps.State, kept); err != nil {
		return nil, errors.Join(err, s.deps.Probe.SetFilter(ctx, before))
	}
	return s.getFilter(ctx, &nothing{})
}

func (s *Server) previewFilter(_ context.Context, in *filterInput) (*previewOutput, error) {
	f, err := s.compile(in.Body)
	if err != nil {
		return nil, err
	}
	out := api.FilterPreview{Processes: []api.FilteredProcess{}}
	known := map[int]bool{} // some use more than one library
	for _, c := range s.deps.Probe.Coverage() {
		if known[c.Process.PID] {
			continue
		}
		known[c.Process.PID] = true
		seen := map[filter.Verdict]string{filter.Take: "yes", filter.Drop: "no", filter.Ask: "partly"}[f.Process(&c.Process, c.Container).Verdict]
		out.Processes = append(out.Processes, api.FilteredProcess{Process: c.Process, Container: c.Container, Seen: seen})
	}
	return &previewOutput{out}, nil
}

// compile returns the filter of rules, or an answer for the caller: there is no probe to give it to, or a mistake in it.
func (s *Server) compile(rules filter.Rules) (*filter.Filter, error) {
	if s.deps.Probe == nil {
		return nil, s.noProbe()
	}
	f, err := filter.Compile(rules)
	if m, ok := errors.AsType[*filter.Mistake](err); ok {
		return nil, huma.Error422UnprocessableEntity("The filter can't be used: "+m.Error()+".", &huma.ErrorDetail{Message: m.Message, Location: "body." + m.Field})
	}
	return f, err
}

func (s *Server) noProbe() error {
	text := "There is no probe on this machine"
	if why := s.role("probe").Why; why != "" {
		text += ": " + why
	}
	return huma.Error409Conflict(text + ".")
}

func (s *Server) resumeProbe(ctx context.Context, _ *nothing) (*probeOutput, error) {
	if s.deps.Probe == nil {
		return nil, s.noProbe()
	}
	if err := s.audit(ctx, caller(ctx).name, "probe.resume", "", state.OK); err != nil {
		return nil, err
	}
	if err := s.deps.Probe.Resume(ctx); err != nil {
		_ = s.audit(ctx, caller(ctx).name, "probe.resume", "", state.FailedToDo)
		if errors.Is(err, ErrNotPaused) {
			return nil, huma.Error409Conflict("The probe is not paused.")
		}
		return nil, err
	}
	return s.getProbe(ctx, &nothing{})
}
