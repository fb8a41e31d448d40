package server

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/store"
)

// Period is embedded in the inputs of routes that look at a stretch of time.
type Period struct {
	Since string `query:"since" maxLength:"64" default:"24h" example:"24h" doc:"Start: RFC 3339, or how long before now (90s, 15m, 24h, 7d), or all"`
	Until string `query:"until" maxLength:"64" doc:"End: as since; missing means now"`
}

var ago = regexp.MustCompile(`^([0-9]{1,6})([smhd])$`)

// times returns the bounds of the period. since is zero for all that is kept; until is zero for all there will be.
func (p Period) times(now time.Time) (since, until time.Time, err error) {
	if p.Since != "all" {
		if since, err = pointInTime("since", p.Since, now); err != nil {
			return since, until, err
		}
	}
	if p.Until != "" && p.Until != "now" {
		if until, err = pointInTime("until", p.Until, now); err != nil {
			return since, until, err
		}
		if !since.Before(until) {
			return since, until, badTime("until", p.Until, "the period ends before it begins")
		}
	}
	return since, until, nil
}

func pointInTime(name, s string, now time.Time) (time.Time, error) {
	if m := ago.FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(m[1])
		if err == nil {
			unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
			if n <= int(time.Duration(1<<62)/unit) {
				return now.Add(-time.Duration(n) * unit), nil
			}
		}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < 1970 || t.Year() > 2200 {
		return t, badTime(name, s, "it is neither RFC 3339 nor how long ago, such as 24h")
	}
	return t, nil
}

func badTime(name, value, why string) error {
	return huma.Error422UnprocessableEntity(fmt.Sprintf("The time in %s can't be used: %s.", name, why),
		&huma.ErrorDetail{Message: why, Location: "query." + name, Value: value})
}

// stretch returns the bounds of a period with both ends, as counting over time needs them.
func (s *Server) stretch(ctx context.Context, p Period) (since, until time.Time, err error) {
	now := time.Now()
	if since, until, err = p.times(now); err != nil {
		return since, until, err
	}
	if until.IsZero() {
		until = now
	}
	if since.IsZero() {
		h, err := s.deps.Events.Health(ctx)
		if err != nil {
			return since, until, s.storeProblem(ctx, "stretch", err)
		}
		if since = h.Oldest; since.IsZero() || !since.Before(until) {
			since = until.Add(-time.Hour)
		}
	}
	if !since.Before(until) {
		return since, until, badTime("since", p.Since, "the period ends before it begins")
	}
	return since, until, nil
}

func overviewOf(o store.Overview, losses map[string]uint64) api.Overview {
	c := o.Coverage
	out := api.Overview{
		Connections: o.Connections, PlaintextBytes: o.PlaintextBytes, Transactions: o.Transactions, Losses: losses,
		Decryption: api.Coverage{TLS: c.TLS(), Yes: c.Yes, Partial: c.Partial, No: c.No, Reasons: []api.ReasonCount{}},
		Kinds:      []api.KindCount{}, TopHosts: []api.HostCount{},
		Trend: api.Trend{IntervalS: o.Trend.Interval.Seconds(), Points: []api.TrendPoint{}},
	}
	for _, r := range c.Reasons {
		out.Decryption.Reasons = append(out.Decryption.Reasons, api.ReasonCount{Reason: string(r.Reason), Connections: r.Connections})
	}
	for _, k := range o.Kinds {
		out.Kinds = append(out.Kinds, api.KindCount(k))
	}
	for _, h := range o.TopHosts {
		out.TopHosts = append(out.TopHosts, api.HostCount(h))
	}
	for _, p := range o.Trend.Points {
		out.Trend.Points = append(out.Trend.Points, api.TrendPoint(p))
	}
	return out
}
