// Package telemetry tells operators what a program does: structured logs and Prometheus counters. Facts go in, lines and
// numbers come out. It never sees payload or secrets: types that hold them print as REDACTED.
package telemetry

import (
	"io"
	"log/slog"
	"os"

	"github.com/vitrine-ndr/vitrine/internal/terminal"
)

// NewLogger returns a logger that writes lines of text to a terminal and JSON to anything else. Neither form hands a
// terminal the control characters that a logged string may contain.
func NewLogger(out *os.File, level slog.Leveler) *slog.Logger {
	if terminal.Is(out) {
		return newTextLogger(out, level)
	}
	return newJSONLogger(out, level)
}

// newTextLogger relies on slog's text form, which quotes every string with a character that is not printable.
func newTextLogger(out io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: shortTime}))
}

func newJSONLogger(out io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(&jsonWriter{out: out}, &slog.HandlerOptions{Level: level, ReplaceAttr: readable}))
}

// shortTime leaves the date out of what a person watches live.
func shortTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.String(a.Key, a.Value.Time().Format("15:04:05.000"))
	}
	return a
}

// readable writes durations as people do: nobody can tell 14712815 from its unit.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}

// jsonWriter escapes what JSON itself allows but a terminal obeys.
type jsonWriter struct {
	out  io.Writer
	line []byte
}

// Write gets one line at a time: the handler serialises the calls.
func (w *jsonWriter) Write(b []byte) (int, error) {
	w.line = terminal.AppendJSON(w.line[:0], b)
	if _, err := w.out.Write(w.line); err != nil {
		return 0, err
	}
	return len(b), nil
}
