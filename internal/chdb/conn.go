package chdb

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// Error is what the engine says of a statement that it refuses.
type Error struct {
	Code    int // ClickHouse's error number, 0 if the message has none
	Message string
}

func (e *Error) Error() string { return e.Message }

var errorCode = regexp.MustCompile(`^Code: (\d+)\. `)

func newError(message string) error {
	e := &Error{Message: strings.TrimSpace(message)}
	if m := errorCode.FindStringSubmatch(e.Message); m != nil {
		e.Code, _ = strconv.Atoi(m[1])
	}
	return e
}

// Param is the value of {Name:Type} in a statement, in the escaped text form that ClickHouse's HTTP interface takes. The
// engine parses it as the type says: it never becomes part of the statement.
type Param struct{ Name, Value string }

// Conn is one connection: one statement at a time, from one goroutine.
type Conn struct {
	lib      *Library
	h        *handle
	name     string // the value of log_comment, by which the pool finds its statements
	database string
	settings map[string]string // that differ from the engine's defaults
}

// Close gives the connection back. Closing the last one of the process stops the engine's background work.
func (c *Conn) Close() {
	if c.h != nil {
		c.lib.closeConn(c.h)
		c.h = nil
	}
}

// Query runs a statement and calls write with its output, piece by piece; each piece is valid only during the call. A
// SELECT is streamed; other statements give their output at the end. An error of write cancels the statement.
func (c *Conn) Query(sql, format string, params []Param, write func([]byte) error) error {
	if streams(sql) {
		return c.stream(sql, format, params, write)
	}
	res := c.call(c.lib.query, sql, format, params)
	defer c.lib.resultDestroy(res)
	if msg := goString(c.lib.resultError(res)); msg != "" {
		return newError(msg)
	}
	if b := c.output(res); len(b) > 0 {
		return write(b)
	}
	return nil
}

// streams says whether the engine can give the output of a statement in pieces.
func streams(sql string) bool {
	word := strings.ToLower(sql[:min(len(sql), 6)])
	return word == "select" || strings.HasPrefix(word, "with")
}

func (c *Conn) stream(sql, format string, params []Param, write func([]byte) error) error {
	stream := c.call(c.lib.streamQuery, sql, format, params)
	defer c.lib.resultDestroy(stream)
	if msg := goString(c.lib.resultError(stream)); msg != "" {
		return newError(msg)
	}
	for {
		done, err := c.fetch(stream, write)
		if err != nil {
			c.lib.streamCancel(c.h.conn, stream)
		}
		if done || err != nil {
			return err
		}
	}
}

func (c *Conn) fetch(stream unsafe.Pointer, write func([]byte) error) (done bool, err error) {
	res := c.lib.streamFetch(c.h.conn, stream)
	defer c.lib.resultDestroy(res)
	if msg := goString(c.lib.resultError(res)); msg != "" {
		return true, newError(msg)
	}
	b := c.output(res)
	if len(b) == 0 {
		return true, nil
	}
	return false, write(b)
}

// output returns the bytes of a result, which the engine owns.
func (c *Conn) output(res unsafe.Pointer) []byte {
	n := c.lib.resultLength(res)
	if n == 0 {
		return nil
	}
	return unsafe.Slice(c.lib.resultBuffer(res), n)
}

func (c *Conn) call(fn statementFunc, sql, format string, params []Param) unsafe.Pointer {
	names, nameLens := make([]*byte, len(params)), make([]uintptr, len(params))
	values, valueLens := make([]*byte, len(params)), make([]uintptr, len(params))
	for i := range params {
		names[i], nameLens[i] = unsafe.StringData(params[i].Name), uintptr(len(params[i].Name))
		values[i], valueLens[i] = unsafe.StringData(params[i].Value), uintptr(len(params[i].Value))
	}
	res := fn(c.h.conn, unsafe.StringData(sql), uintptr(len(sql)), unsafe.StringData(format), uintptr(len(format)),
		unsafe.Pointer(unsafe.SliceData(names)), unsafe.Pointer(unsafe.SliceData(nameLens)),
		unsafe.Pointer(unsafe.SliceData(values)), unsafe.Pointer(unsafe.SliceData(valueLens)), uintptr(len(params)))
	runtime.KeepAlive(params)
	return res
}

// insertPiece is how much of an INSERT's data is handed over at a time.
const insertPiece = 256 << 10

// Insert runs an INSERT without a FORMAT clause on the data of body, and returns the number of rows once they are on disk.
func (c *Conn) Insert(sql, format string, params []Param, body io.Reader) (rows uint64, err error) {
	stream := c.call(c.lib.streamInsert, sql, format, params)
	defer c.lib.insertDestroy(stream) // cancels, unless it is done
	if msg := goString(c.lib.insertError(stream)); msg != "" {
		return 0, newError(msg)
	}
	if err := c.send(stream, body); err != nil {
		return 0, err
	}
	res := c.lib.insertDone(stream)
	defer c.lib.resultDestroy(res)
	if msg := goString(c.lib.resultError(res)); msg != "" {
		return 0, newError(msg)
	}
	return c.lib.resultWritten(res), nil
}

func (c *Conn) send(stream unsafe.Pointer, body io.Reader) error {
	buf := make([]byte, insertPiece)
	for {
		n, err := io.ReadFull(body, buf)
		if n > 0 && c.lib.insertAppend(stream, &buf[0], uintptr(n)) != 0 {
			return newError(goString(c.lib.insertError(stream)))
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the data to insert: %w", err)
		}
	}
}

var settingName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// Use makes database and settings those of the next statements: other settings return to their defaults. log_comment
// cannot be set: it is how the pool finds the connection's statements.
func (c *Conn) Use(database string, settings map[string]string) error {
	settings = maps.Clone(settings)
	delete(settings, "log_comment")
	if database != "" && database != c.database {
		if err := c.run("USE " + quote(database, '`')); err != nil {
			return err
		}
		c.database = database
	}
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !settingName.MatchString(name) {
			return &Error{Code: unknownSetting, Message: fmt.Sprintf("Code: %d. there is no setting %q", unknownSetting, name)}
		}
		if old, ok := c.settings[name]; !ok || old != settings[name] {
			changes = append(changes, name+" = "+quote(settings[name], '\''))
		}
	}
	for name := range c.settings {
		if _, ok := settings[name]; !ok {
			changes = append(changes, name+" = DEFAULT")
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := c.run("SET " + strings.Join(changes, ", ")); err != nil {
		return err
	}
	c.settings = settings
	return nil
}

const unknownSetting = 115 // ClickHouse's UNKNOWN_SETTING

func (c *Conn) run(sql string) error {
	return c.Query(sql, "Null", nil, func([]byte) error { return nil })
}

// quote returns s as a ClickHouse string literal or identifier.
func quote(s string, with byte) string {
	q := string(with)
	return q + strings.NewReplacer(`\`, `\\`, q, `\`+q).Replace(s) + q
}
