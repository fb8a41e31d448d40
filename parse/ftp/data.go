package ftp

import (
	"strings"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

// transfer is what the control connection knows of a data connection. Each has its own parser, and perhaps its own goroutine: the one
// fills in what the other reads. A nil *transfer is of no connection.
type transfer struct {
	mu    sync.Mutex
	facts facts
}

// facts of a transfer. The mode is known when the connection is announced, the command before it carries its first byte, the size with
// the reply to that.
type facts struct {
	mode                      string
	deflate                   bool // MODE Z (draft-preston-ftpext-deflate)
	command, name, path, user string
	tx                        uint64
	offset, size              int64
	sized, ascii              bool
	failed                    bool // the server says so
}

// set notes the command that the transfer is of.
func (t *transfer) set(p *parser, c *command) {
	if t == nil {
		return
	}
	e := &c.event
	t.mu.Lock()
	defer t.mu.Unlock()
	t.facts = facts{
		mode: t.facts.mode, deflate: p.mode == 'Z', command: e.Command, name: e.Argument, path: e.Path, user: e.User, tx: e.Tx,
		offset: p.offset, ascii: p.ascii || !about[e.Command].file,
	}
}

// expect notes how much the server wants to send.
func (t *transfer) expect(size int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.facts.size, t.facts.sized = size, true
}

// fail notes that the server has refused or broken off the transfer.
func (t *transfer) fail() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.facts.failed = true
}

func (t *transfer) get() facts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.facts
}

// data follows one data connection.
type data struct {
	out     parse.Output
	control flow.ID
	of      *transfer
	sink    *content.Sink // nil before the first byte
	dir     flow.Direction
	odd     bool // there are bytes of the other direction
	first   time.Time
	last    time.Time
}

func newData(out parse.Output) parse.Parser {
	d := &data{out: out, of: &transfer{}}
	if u := out.Upgrade; u != nil {
		d.control = u.Conn
		if t, ok := u.Detail.(*transfer); ok {
			d.of = t
		}
	}
	return d
}

// Parse takes content. All of it goes one way.
func (d *data) Parse(dir flow.Direction, b []byte) (int, error) {
	if d.open(dir) {
		d.sink.Write(b)
	}
	return len(b), nil
}

// Gap tells of content that is missing.
func (d *data) Gap(dir flow.Direction, n int) error {
	if d.open(dir) {
		d.sink.Gap(n)
	}
	return nil
}

func (d *data) open(dir flow.Direction) bool {
	d.last = d.out.Seen()
	if d.sink == nil {
		encoding := ""
		if d.of.get().deflate {
			encoding = "deflate"
		}
		d.sink, d.dir, d.first = content.New(&d.out, encoding), dir, d.last
	}
	if dir != d.dir && !d.odd {
		d.odd = true
		d.out.Anomaly(bothWays)
	}
	return dir == d.dir
}

// End tells of the transfer. A file is one that was sent by name; a list is none.
func (d *data) End() {
	f := d.of.get()
	if d.sink == nil && (f.command == "" || f.failed) {
		return
	}
	e := &event.FTPData{
		Command: f.command, Name: f.name, Path: f.path, User: f.user, Mode: f.mode, Offset: f.offset, ASCII: f.ascii,
		ControlID: d.control, ControlTx: f.tx, DurationUS: d.last.Sub(d.first).Microseconds(),
	}
	if d.sink == nil { // an empty file
		d.sink = content.New(&d.out, "")
	} else {
		e.Direction = d.dir.String()
	}
	e.Content = d.sink.Finish(event.Complete)
	if e.State == event.Complete && (f.failed || f.sized && !f.ascii && f.offset == 0 && e.Size < f.size) {
		e.State, e.SHA256 = event.Truncated, ""
	}
	d.out.Emit(e)
	if about[f.command].file {
		d.out.Emit(file(e))
	}
	d.sink.Release()
}

// file is the same as a file. What begins in the middle of it, or is put behind what was there, has not its hash.
func file(e *event.FTPData) *event.File {
	f := &event.File{Name: e.Name[strings.LastIndexAny(e.Name, `/\`)+1:], Type: e.Type, Size: e.Size, SHA256: e.SHA256, State: e.State, Direction: e.Direction}
	if f.State == event.Complete && (e.Offset > 0 || e.Command == "APPE") {
		f.State, f.SHA256 = event.Truncated, ""
	}
	return f
}
