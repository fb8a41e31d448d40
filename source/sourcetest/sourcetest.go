package sourcetest

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
	"github.com/vitrine-ndr/vitrine/source"
)

var update = flag.Bool("update-events", false, "rewrite the events that every vantage point must give")

// Harness has a conversation take place where a vantage point sees it, and returns that vantage point. Its Run must return
// when the conversation is over.
type Harness func(t testing.TB, c Conversation) source.Source

// Run checks that the vantage point turns each conversation into the events in testdata.
func Run(t *testing.T, conversations []Conversation, h Harness) {
	for _, c := range conversations {
		t.Run(c.Name, func(t *testing.T) {
			got := events(t, h(t, c))
			file := filepath.Join(testdata(t), c.Name+".json")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// events runs the source and returns what it saw, one event a line.
func events(t testing.TB, src source.Source) string {
	t.Helper()
	var mu sync.Mutex
	var lines []string
	sink := inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Time: inspect.DefaultTime,
		Emit: func(e *event.Event) {
			line := reduce(t, e)
			mu.Lock()
			defer mu.Unlock()
			if line != "" {
				lines = append(lines, line)
			}
		},
	})
	if err := src.Run(t.Context(), sink); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n") + "\n"
}

// reduce leaves what must not depend on the vantage point: the protocol and the body, without times. How a connection was carried
// differs between them.
func reduce(t testing.TB, e *event.Event) string {
	t.Helper()
	r := e.Record()
	only := event.Record{Kind: r.Kind, AppProto: r.AppProto, HTTP: r.HTTP, DNS: r.DNS, WebSocket: r.WebSocket, SMTP: r.SMTP, FTP: r.FTP, File: r.File, Anomaly: r.Anomaly, Unknown: r.Unknown}
	switch {
	case r.Kind == event.KindTLS:
		return ""
	case r.Conn != nil:
		only.Conn = &event.Conn{PlaintextBytes: r.Conn.PlaintextBytes}
	case r.HTTP != nil:
		h := *r.HTTP
		h.DurationUS = 0
		only.HTTP = &h
	case r.DNS != nil:
		d := *r.DNS
		d.DurationUS = 0
		only.DNS = &d
	case r.SMTP != nil:
		s := *r.SMTP
		s.DurationUS = 0
		only.SMTP = &s
	case r.FTP != nil:
		f := *r.FTP
		f.DurationUS = 0
		only.FTP = &f
	}
	b, err := json.Marshal(only)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// testdata returns the folder of this package, whichever package's test runs.
func testdata(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("where is this file?")
	}
	return filepath.Join(filepath.Dir(file), "testdata")
}
