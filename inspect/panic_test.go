package inspect

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

func TestPanicsAreLoggedWithoutPayload(t *testing.T) {
	var buf bytes.Buffer
	i := New(Config{
		Protocols: []parse.Protocol{
			{Name: "lines", Probe: first("LINES\n"), New: func(o parse.Output) parse.Parser { return &lines{o} }},
			{Name: "other", Probe: first("OTHER\n"), New: func(o parse.Output) parse.Parser { return &lines{o} }},
		},
		Limits: parse.DefaultLimits, Time: time.Second, Emit: func(*event.Event) {}, Log: slog.New(slog.NewJSONHandler(&buf, nil)),
	})
	for _, sent := range []string{"LINES\npanic\n", "LINES\npanic\n", "OTHER\npanic\n"} {
		s := i.Open(flow.NewConn(0, flow.Tuple{Proto: flow.TCP}, time.Unix(0, 0)))
		s.Data(toS, time.Unix(1, 0), []byte(sent))
		s.Close(time.Unix(2, 0))
	}
	if n := i.Stats().Panics; n != 3 {
		t.Errorf("%d panics were counted, want 3", n)
	}
	logged := buf.String()
	if strings.Contains(logged, "asked for") {
		t.Error("the value of the panic was logged")
	}
	dec := json.NewDecoder(&buf)
	for _, protocol := range []string{"lines", "other"} {
		var line struct{ Msg, Protocol, Stack string }
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Msg != "parser failed" || line.Protocol != protocol {
			t.Errorf("got %+v, want the failure of %s", line, protocol)
		}
		if !strings.HasPrefix(line.Stack, "inspect.(*lines).Parse (inspect_test.go:") || !strings.Contains(line.Stack, " < inspect.(*stream).offer (stream.go:") {
			t.Errorf("the stack is %q", line.Stack)
		}
	}
	if dec.More() {
		t.Errorf("more was logged than one failure of each protocol:\n%s", logged)
	}
}
