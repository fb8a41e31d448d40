package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/state"
	"github.com/vitrine-ndr/vitrine/store"
	"github.com/vitrine-ndr/vitrine/store/query"
)

// Search is embedded in the inputs of routes that search events.
type Search struct {
	Q string `query:"q" maxLength:"8192" example:"decrypted:yes and http.host:*.example.com" doc:"Search; empty finds everything. See docs/search-language.md"`
}

type overviewInput struct{ Period }

type overviewOutput struct{ Body api.Overview }

type eventsInput struct {
	Search
	Period
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Events at the most"`
	Cursor string `query:"cursor" maxLength:"256" doc:"next_cursor of the page before"`
}

type eventsOutput struct{ Body api.Events }

type histogramInput struct {
	Search
	Period
	Buckets int `query:"buckets" minimum:"1" maximum:"500" default:"60" doc:"Buckets at the most"`
}

type histogramOutput struct{ Body api.Histogram }

type eventInput struct {
	ID string `path:"id" pattern:"^[0-9a-f]{32}$" doc:"Id of the event"`
}

type eventOutput struct{ Body *event.Record }

type fieldsOutput struct{ Body []api.Field }

type completeInput struct {
	Q   string `query:"q" maxLength:"8192" doc:"Search as it stands"`
	Pos int    `query:"pos" minimum:"0" maximum:"8192" doc:"Byte offset of the cursor in it"`
}

type completeOutput struct{ Body api.Completion }

func (s *Server) registerEvents(a huma.API) {
	register(s, a, operation("overview", http.MethodGet, "/api/v1/overview", "events", CanSearch, "Sum up a period",
		"Connections, coverage of decryption with the reasons for the rest, volume restored, top hosts, trend.", http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout), inTurn(s, s.overview))
	register(s, a, operation("search-events", http.MethodGet, "/api/v1/events", "events", CanSearch, "Search events",
		"Returns matching events without bodies, headers and trailers, the newest first. For those who may read content, the search is recorded in the audit trail. An error in the search is answered with 422; errors[0].value has the byte offsets start and end and may have a suggestion.",
		http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout), inTurn(s, s.searchEvents))
	register(s, a, operation("event-histogram", http.MethodGet, "/api/v1/events/histogram", "events", CanSearch, "Count events over time",
		"Counts matching events in equal steps of time.", http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout), inTurn(s, s.histogram))
	register(s, a, streamed(operation("live-events", http.MethodGet, "/api/v1/events/live", "events", CanSearch, "Follow new events",
		"A stream of server-sent events: record (data: a Record without bodies, headers and trailers) for each new match, dropped (data: Dropped) when the reader was too slow for some, and a comment every 15 s. For those who may read content, it is recorded in the audit trail.",
		http.StatusUnprocessableEntity, http.StatusTooManyRequests), "text/event-stream", "Server-sent events"), s.liveEvents)
	register(s, a, operation("get-event", http.MethodGet, "/api/v1/events/{id}", "events", CanSearch, "Read one event",
		"Returns the event with its bodies, headers and trailers, for those who may read content. The look is recorded in the audit trail.", http.StatusNotFound, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout), inTurn(s, s.getEvent))
	register(s, a, operation("list-fields", http.MethodGet, "/api/v1/fields", "events", CanSearch, "List the fields of the search language",
		"Returns every field with its type and meaning."), s.listFields)
	register(s, a, operation("complete", http.MethodGet, "/api/v1/complete", "events", CanSearch, "Complete a search",
		"Returns what can stand at the cursor: fields, operators, values.", http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout), inTurn(s, s.complete))
	a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Dropped](), true, "Dropped")
}

func (s *Server) overview(ctx context.Context, in *overviewInput) (*overviewOutput, error) {
	since, until, err := s.stretch(ctx, in.Period)
	if err != nil {
		return nil, err
	}
	o, err := s.deps.Events.Overview(ctx, since, until)
	if err != nil {
		return nil, s.storeProblem(ctx, "overview", err)
	}
	losses, err := s.losses()
	if err != nil {
		return nil, err
	}
	return &overviewOutput{overviewOf(o, losses)}, nil
}

func (s *Server) searchEvents(ctx context.Context, in *eventsInput) (*eventsOutput, error) {
	p, start := caller(ctx), time.Now()
	filter, err := s.parse(p, in.Q)
	if err != nil {
		return nil, err
	}
	since, until, err := in.times(start)
	if err != nil {
		return nil, err
	}
	page, err := s.deps.Events.Search(ctx, store.Search{Filter: filter, Since: since, Until: until, Limit: in.Limit, Cursor: in.Cursor})
	if errors.Is(err, store.ErrCursor) {
		return nil, huma.Error422UnprocessableEntity("The cursor is not one that a page had. Search again from the first page.", &huma.ErrorDetail{Message: "invalid cursor", Location: "query.cursor"})
	}
	if err != nil {
		return nil, s.storeProblem(ctx, "search-events", err)
	}
	if err := s.auditSearch(ctx, p, in.Q, in.Cursor != ""); err != nil {
		return nil, err
	}
	out := &eventsOutput{api.Events{Events: make([]*event.Record, len(page.Records)), NextCursor: page.NextCursor}}
	for i, r := range page.Records {
		out.Body.Events[i] = s.shown(p, r)
	}
	out.Body.TookMS = time.Since(start).Milliseconds()
	return out, nil
}

func (s *Server) histogram(ctx context.Context, in *histogramInput) (*histogramOutput, error) {
	filter, err := s.parse(caller(ctx), in.Q)
	if err != nil {
		return nil, err
	}
	since, until, err := s.stretch(ctx, in.Period)
	if err != nil {
		return nil, err
	}
	h, err := s.deps.Events.Histogram(ctx, filter, since, until, in.Buckets)
	if err != nil {
		return nil, s.storeProblem(ctx, "event-histogram", err)
	}
	out := &histogramOutput{api.Histogram{IntervalS: h.Interval.Seconds(), Buckets: make([]api.Bucket, len(h.Buckets))}}
	for i, b := range h.Buckets {
		out.Body.Buckets[i] = api.Bucket(b)
	}
	return out, nil
}

func (s *Server) getEvent(ctx context.Context, in *eventInput) (*eventOutput, error) {
	var id event.ID
	if err := id.UnmarshalText([]byte(in.ID)); err != nil {
		return nil, state.ErrNotFound
	}
	r, err := s.deps.Events.Event(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, huma.Error404NotFound("There is no such event. It may be older than what is kept.")
	}
	if err != nil {
		return nil, s.storeProblem(ctx, "get-event", err)
	}
	p := caller(ctx)
	if !p.may(CanContent) {
		return &eventOutput{withoutContent(r)}, nil
	}
	return &eventOutput{r}, s.audit(ctx, p.name, "content.view", in.ID, state.OK)
}

func (s *Server) listFields(context.Context, *nothing) (*fieldsOutput, error) {
	out := &fieldsOutput{Body: []api.Field{}}
	for _, a := range query.Aliases {
		f, _ := event.FieldByName(a.Fields[0])
		out.Body = append(out.Body, api.Field{Name: a.Name, Type: f.Type, Doc: a.Doc, Content: isContent(f)})
	}
	for i := range event.Fields {
		f := &event.Fields[i]
		out.Body = append(out.Body, api.Field{Name: f.Name, Type: f.Type, Enum: f.Enum, Doc: f.Doc, Content: isContent(f)})
	}
	return out, nil
}

const (
	completeValues = 20                 // values of the store that are offered
	completeSince  = 7 * 24 * time.Hour // how far back they are sought
)

func (s *Server) complete(ctx context.Context, in *completeInput) (*completeOutput, error) {
	c := query.Complete(in.Q, in.Pos)
	out := &completeOutput{api.Completion{From: c.From, To: c.To, Options: []api.Option{}}}
	for _, o := range c.Options {
		out.Body.Options = append(out.Body.Options, api.Option{Label: o.Label, Type: string(o.Kind), Detail: o.Detail})
	}
	if c.Values == nil || isSingle(c.Values) || isContent(c.Values) && !caller(ctx).may(CanContent) {
		return out, nil
	}
	values, err := s.deps.Events.TopValues(ctx, c.Values.Name, c.Prefix, time.Now().Add(-completeSince), completeValues)
	if err != nil {
		return nil, s.storeProblem(ctx, "complete", err)
	}
	var known []api.Option
	for _, v := range values {
		known = append(known, api.Option{Label: query.Quote(v.Value), Type: string(query.OptionValue), Detail: fmt.Sprintf("%d events", v.Count)})
	}
	out.Body.Options = append(known, out.Body.Options...)
	return out, nil
}

// parse reads a search for somebody, who may not search what they may not see.
func (s *Server) parse(p principal, q string) (*query.Filter, error) {
	f, err := query.Parse(q)
	if err != nil || p.may(CanContent) {
		return f, err
	}
	return f.Without(isContent)
}

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
		Decryption: api.Decryption{TLS: c.TLS(), Yes: c.Yes, Partial: c.Partial, No: c.No, Sources: []api.SourceCount{}, Reasons: []api.ReasonCount{}},
		Kinds:      []api.KindCount{}, TopHosts: []api.HostCount{},
		Trend: api.Trend{IntervalS: o.Trend.Interval.Seconds(), Points: []api.TrendPoint{}},
	}
	for _, from := range c.Sources {
		out.Decryption.Sources = append(out.Decryption.Sources, api.SourceCount{Source: string(from.Source), Connections: from.Connections})
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
