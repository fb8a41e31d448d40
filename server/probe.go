package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/filters"
	"github.com/vitrine-ndr/vitrine/state"
)

// Probe sees into the processes of this machine. Its methods may be called concurrently, and return what the caller may keep.
type Probe interface {
	// Status tells how the probe is doing. Its lists may be nil.
	Status() api.Probe
	// Coverage returns the processes that use TLS now, one entry for each library of each.
	Coverage() []api.ProcessCoverage
	// Filter returns the filter in force.
	Filter() api.ProbeFilter
	// SetFilter puts a filter in force. A *filters.Mistake says that it can't be, and where; then the one before stays.
	SetFilter(ctx context.Context, f api.ProbeFilter) error
	// Preview says what a filter would do to the processes that use TLS now. It may return a *filters.Mistake.
	Preview(f api.ProbeFilter) ([]api.FilteredProcess, error)
	// Resume makes a paused probe try again now. ErrNotPaused says that it is not paused.
	Resume(ctx context.Context) error
}

// ErrNotPaused is returned by a Probe that is asked to resume and is not paused.
var ErrNotPaused = errors.New("the probe is not paused")

type probeOutput struct{ Body api.Probe }

type coverageOutput struct{ Body api.ProbeCoverage }

type filterInput struct{ Body api.ProbeFilter }

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
		out.Detail = s.whyNoProbe()
	}
	out.Capabilities, out.Libraries, out.Lost = listOf(out.Capabilities), listOf(out.Libraries), listOf(out.Lost)
	return &probeOutput{out}, nil
}

// whyNoProbe returns the reason that the role gives.
func (s *Server) whyNoProbe() string {
	for _, r := range s.deps.Roles() {
		if r.Name == "probe" {
			return r.Why
		}
	}
	return ""
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
	out := api.ProbeFilterState{Filter: api.ProbeFilter{Mode: filters.Everything}}
	if changed {
		out.Filter, out.Previous, out.Changed, out.Actor = kept.Filter, &kept.Previous, &kept.Changed, kept.Actor
		out.Previous.Rules = listOf(out.Previous.Rules)
	}
	if s.deps.Probe != nil {
		out.Filter = s.deps.Probe.Filter()
	}
	out.Filter.Rules = listOf(out.Filter.Rules)
	return &filterOutput{out}, nil
}

func (s *Server) setFilter(ctx context.Context, in *filterInput) (*filterOutput, error) {
	if err := s.checkFilter(in.Body); err != nil {
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
		return nil, filterProblem(err)
	}
	kept := filters.Kept{Filter: in.Body, Previous: before, Changed: time.Now().UTC().Truncate(time.Millisecond), Actor: actor}
	if err := filters.Save(ctx, s.deps.State, kept); err != nil {
		return nil, errors.Join(err, s.deps.Probe.SetFilter(ctx, before))
	}
	return s.getFilter(ctx, &nothing{})
}

func (s *Server) previewFilter(_ context.Context, in *filterInput) (*previewOutput, error) {
	if err := s.checkFilter(in.Body); err != nil {
		return nil, err
	}
	processes, err := s.deps.Probe.Preview(in.Body)
	if err != nil {
		return nil, filterProblem(err)
	}
	return &previewOutput{api.FilterPreview{Processes: listOf(processes)}}, nil
}

// checkFilter returns nil iff there is a probe to give the filter to and no mistake in it.
func (s *Server) checkFilter(f api.ProbeFilter) error {
	if s.deps.Probe == nil {
		return s.noProbe()
	}
	if mistakes := filters.Check(f); len(mistakes) > 0 {
		return badFilter(mistakes)
	}
	return nil
}

func (s *Server) noProbe() error {
	text := "There is no probe on this machine"
	if why := s.whyNoProbe(); why != "" {
		text += ": " + why
	}
	return huma.Error409Conflict(text + ".")
}

// filterProblem tells of a mistake that only the probe could find.
func filterProblem(err error) error {
	if m, ok := errors.AsType[*filters.Mistake](err); ok {
		return badFilter([]*filters.Mistake{m})
	}
	return err
}

func badFilter(mistakes []*filters.Mistake) error {
	var details []error
	for _, m := range mistakes {
		details = append(details, &huma.ErrorDetail{Message: m.Message, Location: "body." + m.Field})
	}
	return huma.Error422UnprocessableEntity("The filter can't be used. Mend what is named in errors.", details...)
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
