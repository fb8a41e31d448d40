package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/command"
	"github.com/vitrine-ndr/vitrine/internal/datafolder"
	"github.com/vitrine-ndr/vitrine/internal/output"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
	"github.com/vitrine-ndr/vitrine/server/api"
	"github.com/vitrine-ndr/vitrine/server/client"
)

// pageSize is how many events are asked for at a time.
const pageSize = 500

// searchOptions are the flags of vitrine search.
type searchOptions struct {
	since, ca string
	limit     int
	full      bool
	output    output.Options
}

func newSearch() *cobra.Command {
	var o searchOptions
	cmd := &cobra.Command{
		Use:   "search [flags] QUERY",
		Short: "Search the events of a server",
		Long: `Print the events that match, the newest first, such as: vitrine search 'decrypted:yes and http.Status:404'.
Headers and bodies come with --full only: the server's audit trail has a record of each event whose content somebody looked at.
VITRINE_SERVER and VITRINE_TOKEN name the server; without them it is the one that runs on this machine.`,
		Args: command.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return search(cmd, &o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.since, "since", "24h", "how far back: a `TIME` such as 15m, 24h, 7d or 2026-01-31T12:00:00Z")
	f.IntVar(&o.limit, "limit", 100, "most events to print")
	f.StringVarP(&o.output.Format, "output", "o", "table", "`FORMAT` of the events: json or table")
	f.BoolVar(&o.full, "full", false, "read each event by itself, with headers, trailers and the beginnings of bodies; with -o json")
	f.StringVar(&o.ca, "ca", "", "PEM `FILE` of the authorities or the certificate to trust")
	return cmd
}

func search(cmd *cobra.Command, o *searchOptions, text string) error {
	if o.output.Format != "json" && o.output.Format != "table" {
		return command.Usage(cmd, fmt.Errorf("unknown output format %q: want json or table", o.output.Format))
	}
	if o.limit < 1 {
		return command.Usage(cmd, errors.New("--limit must be at least 1"))
	}
	if o.full && o.output.Format != "json" {
		return command.Usage(cmd, errors.New("--full is for -o json: a table has no place for headers and bodies"))
	}
	o.output.Width = output.Width(os.Stdout)
	out, err := output.New(os.Stdout, o.output)
	if err != nil {
		return command.Usage(cmd, err)
	}
	server, err := client.New(o.ca, datafolder.Candidates()...)
	if err != nil {
		return err
	}
	if err := searchPages(cmd.Context(), server, o, text, out); err != nil {
		if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == http.StatusUnprocessableEntity {
			return &command.UsageError{Err: explain(p, text)}
		}
		return err
	}
	return out.Flush()
}

// searchPages writes up to the limit of events.
func searchPages(ctx context.Context, server *client.Client, o *searchOptions, text string, out *output.Writer) error {
	q := url.Values{"q": {text}, "since": {o.since}}
	for left := o.limit; left > 0; {
		q.Set("limit", strconv.Itoa(min(left, pageSize)))
		var page api.Events
		if err := server.Get(ctx, "/api/v1/events", q, &page); err != nil {
			return err
		}
		for _, r := range page.Events {
			if o.full {
				full := new(event.Record)
				if err := server.Get(ctx, "/api/v1/events/"+r.ID.String(), nil, full); err != nil {
					return fmt.Errorf("read event %s: %w", r.ID, err)
				}
				r = full
			}
			if err := out.Write(r); err != nil {
				return err
			}
		}
		left -= len(page.Events)
		if page.NextCursor == "" || len(page.Events) == 0 {
			return nil
		}
		q.Set("cursor", page.NextCursor)
	}
	return nil
}

// place is where in the search an error is, in bytes, and what was probably meant.
type place struct {
	Start      int    `json:"start"`
	End        int    `json:"end"`
	Suggestion string `json:"suggestion"`
}

// explain shows the search with carets below what is wrong.
func explain(p *client.Problem, text string) error {
	if len(p.Errors) == 0 || p.Errors[0].Location != "query.q" {
		return p
	}
	var at place
	if raw, err := json.Marshal(p.Errors[0].Value); err != nil || json.Unmarshal(raw, &at) != nil {
		return p
	}
	at.Start = min(max(at.Start, 0), len(text))
	at.End = min(max(at.End, at.Start), len(text))
	before, wrong := terminal.Escape(text[:at.Start]), terminal.Escape(text[at.Start:at.End])
	message := fmt.Sprintf("%s\n  %s\n  %s%s", p.Errors[0].Message, terminal.Escape(text),
		strings.Repeat(" ", terminal.Cells(before)), strings.Repeat("^", max(terminal.Cells(wrong), 1)))
	if at.Suggestion != "" {
		message += "\ntry\n  " + terminal.Escape(text[:at.Start]+at.Suggestion+text[at.End:])
	}
	return errors.New(message)
}
