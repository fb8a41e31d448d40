package server

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/server/api"
)

// Period is embedded in the inputs of routes that look at a stretch of time.
type Period struct {
	Since string `query:"since" maxLength:"64" default:"24h" example:"24h" doc:"Start: RFC 3339, or how long before now (90s, 15m, 24h, 7d)"`
	Until string `query:"until" maxLength:"64" doc:"End: as since; missing means now"`
}

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
		"Connections, coverage of decryption with the reasons for the rest, volume restored, top hosts, trend.", http.StatusUnprocessableEntity, http.StatusServiceUnavailable), s.overview)
	register(s, a, operation("search-events", http.MethodGet, "/api/v1/events", "events", CanSearch, "Search events",
		"Returns matching events without bodies, the newest first. An error in the search is answered with 422; errors[0].value has the byte offsets start and end and may have a suggestion.",
		http.StatusUnprocessableEntity, http.StatusServiceUnavailable), s.searchEvents)
	register(s, a, operation("event-histogram", http.MethodGet, "/api/v1/events/histogram", "events", CanSearch, "Count events over time",
		"Counts matching events in equal steps of time.", http.StatusUnprocessableEntity, http.StatusServiceUnavailable), s.histogram)
	register(s, a, streamed(operation("live-events", http.MethodGet, "/api/v1/events/live", "events", CanSearch, "Follow new events",
		"A stream of server-sent events: record (data: a Record without bodies) for each new match, dropped (data: Dropped) when the reader was too slow for some, and a comment every 15 s.",
		http.StatusUnprocessableEntity, http.StatusTooManyRequests), "text/event-stream", "Server-sent events"), s.liveEvents)
	register(s, a, operation("get-event", http.MethodGet, "/api/v1/events/{id}", "events", CanSearch, "Read one event",
		"Returns the event with its bodies, for those who may read content. The look is recorded in the audit trail.", http.StatusNotFound, http.StatusServiceUnavailable), s.getEvent)
	register(s, a, operation("list-fields", http.MethodGet, "/api/v1/fields", "events", CanSearch, "List the fields of the search language",
		"Returns every field with its type and meaning."), s.listFields)
	register(s, a, operation("complete", http.MethodGet, "/api/v1/complete", "events", CanSearch, "Complete a search",
		"Returns what can stand at the cursor: fields, operators, values.", http.StatusServiceUnavailable), s.complete)
	a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Dropped](), true, "Dropped")
}

func (s *Server) overview(ctx context.Context, in *overviewInput) (*overviewOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) searchEvents(ctx context.Context, in *eventsInput) (*eventsOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) histogram(ctx context.Context, in *histogramInput) (*histogramOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) getEvent(ctx context.Context, in *eventInput) (*eventOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) listFields(ctx context.Context, in *nothing) (*fieldsOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
func (s *Server) complete(ctx context.Context, in *completeInput) (*completeOutput, error) {
	return nil, huma.Error501NotImplemented("")
}
