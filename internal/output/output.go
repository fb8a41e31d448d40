// Package output writes events for the command line: as native JSON, as EVE, or as a table for people. Records go in, lines go out;
// no string of a record can make a terminal do anything. It knows nothing of where the records come from.
package output

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/event/eve"
	"github.com/vitrine-ndr/vitrine/internal/terminal"
)

// Formats are the names that New takes.
var Formats = []string{"json", "eve", "table", "none"}

// Options say how events are written.
type Options struct {
	Format string
	Bodies bool // with EVE: the printable form of HTTP bodies too
	Width  int  // of the table, in columns; 0 is no limit
	// ByProcess makes the table one of what programs do, without addresses and without connections that have ended.
	ByProcess bool
}

// Writer writes events. It is not safe for concurrent use.
type Writer struct {
	buf   *bufio.Writer
	write func(*event.Record) error
}

// New returns a Writer to out. Its output is buffered: end with Flush.
func New(out io.Writer, o Options) (*Writer, error) {
	w := &Writer{buf: bufio.NewWriterSize(out, 256<<10)}
	switch o.Format {
	case "json":
		enc := json.NewEncoder(&lines{out: w.buf})
		enc.SetEscapeHTML(false)
		w.write = func(r *event.Record) error { return enc.Encode(r) }
	case "eve":
		w.write = eve.NewEncoder(&lines{out: w.buf}, o.Bodies).Encode
	case "table":
		w.write = newTable(w.buf, o).row
	case "none":
		w.write = func(*event.Record) error { return nil }
	default:
		return nil, fmt.Errorf("unknown output format %q: want one of %q", o.Format, Formats)
	}
	return w, nil
}

// Write writes one event.
func (w *Writer) Write(r *event.Record) error {
	if err := w.write(r); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}

// Flush hands on what is buffered.
func (w *Writer) Flush() error {
	if err := w.buf.Flush(); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return nil
}

// Width returns the columns of a terminal, or 0 if out is none.
func Width(out io.Writer) int {
	if f, ok := out.(*os.File); ok {
		return terminal.Width(f)
	}
	return 0
}

// lines takes one JSON text per call and escapes what a terminal could obey.
type lines struct {
	out  io.Writer
	line []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.line = terminal.AppendJSON(l.line[:0], b)
	if _, err := l.out.Write(l.line); err != nil {
		return 0, err
	}
	return len(b), nil
}
