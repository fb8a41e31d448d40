// Package httpd speaks ClickHouse's HTTP interface in front of the embedded engine, so that a client needs one code path
// for it and for a cluster. Requests come in, statements go to the chdb.Pool.
//
// It covers what a ClickHouse server does with: query in the URL or the body, data in the body, param_NAME, database,
// default_format and settings in the URL, exception code and status of an error. There are no users: whoever may open the
// socket may do everything.
package httpd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/vitrine-ndr/vitrine/internal/chdb"
)

// maxStatement bounds a statement that comes in a body, or with data behind it that the engine cannot stream.
const maxStatement = 16 << 20

// Handler answers requests with the pool.
type Handler struct {
	pool *chdb.Pool
	log  *slog.Logger
}

// New returns a Handler.
func New(pool *chdb.Pool, log *slog.Logger) *Handler { return &Handler{pool: pool, log: log} }

// ServeHTTP answers GET /ping, and statements at /.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ping":
		io.WriteString(w, "Ok.\n")
	case "/":
		st, err := parse(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		h.run(w, r, st)
	default:
		http.NotFound(w, r)
	}
}

// statement is what a request asks for.
type statement struct {
	sql      string
	data     io.Reader // of an INSERT that streams; nil otherwise
	format   string    // of data, or of the output if sql doesn't say
	database string
	params   []chdb.Param
	settings map[string]string
}

// insertFormat finds the FORMAT clause of an INSERT whose data is in the body.
var insertFormat = regexp.MustCompile(`(?is)^\s*(insert\s.*?)\s+format\s+(\w+)\s*;?\s*$`)

func parse(r *http.Request) (*statement, error) {
	args, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("read arguments: %w", err)
	}
	st := &statement{sql: strings.TrimSpace(args.Get("query")), format: "TabSeparated", settings: map[string]string{}}
	for name, values := range args {
		st.set(name, values[len(values)-1])
	}
	if m := insertFormat.FindStringSubmatch(st.sql); m != nil {
		st.sql, st.format, st.data = m[1], m[2], r.Body
		return st, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxStatement+1))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if len(body) > maxStatement {
		return nil, fmt.Errorf("read body: more than %d bytes", maxStatement)
	}
	if len(bytes.TrimSpace(body)) > 0 {
		st.sql = strings.TrimSpace(st.sql + "\n" + string(body))
	}
	if st.sql == "" {
		return nil, errors.New("there is no query")
	}
	return st, nil
}

// set takes one argument of the URL: what has no meaning of its own is a setting.
func (st *statement) set(name, value string) {
	switch name {
	case "query", "query_id", "user", "password", "wait_end_of_query", "buffer_size":
	case "database":
		st.database = value
	case "default_format":
		st.format = value
	default:
		if p, ok := strings.CutPrefix(name, "param_"); ok {
			st.params = append(st.params, chdb.Param{Name: p, Value: value})
		} else {
			st.settings[name] = value
		}
	}
}

// run executes the statement. An error before the first output is the response; a later one breaks the response off, so
// that the client cannot take a part for the whole.
func (h *Handler) run(w http.ResponseWriter, r *http.Request, st *statement) {
	out := &output{w: w}
	var written uint64
	do := h.pool.Do
	if st.data != nil {
		do = h.pool.DoInsert
	}
	err := do(r.Context(), func(c *chdb.Conn) (err error) {
		if err := c.Use(st.database, st.settings); err != nil {
			return err
		}
		if st.data != nil {
			written, err = c.Insert(st.sql, st.format, st.params, st.data)
			return err
		}
		return c.Query(st.sql, st.format, st.params, out.write)
	})
	switch {
	case err == nil:
		w.Header().Set("X-ClickHouse-Summary", fmt.Sprintf(`{"written_rows":"%d"}`, written))
		out.begin()
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // nobody listens
	case out.begun:
		h.log.Warn("statement failed after output", "code", code(err))
		panic(http.ErrAbortHandler)
	default:
		fail(w, err)
	}
}

// output sends the status with the first piece.
type output struct {
	w     http.ResponseWriter
	begun bool
}

func (o *output) begin() {
	if !o.begun {
		o.begun = true
		o.w.Header().Set("Content-Type", "application/octet-stream")
		o.w.WriteHeader(http.StatusOK)
	}
}

func (o *output) write(b []byte) error {
	o.begin()
	_, err := o.w.Write(b)
	return err
}

func fail(w http.ResponseWriter, err error) {
	c := code(err)
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(c))
	http.Error(w, err.Error(), status(c))
}

func code(err error) int {
	if e, ok := errors.AsType[*chdb.Error](err); ok {
		return e.Code
	}
	return 0
}

// status is what a ClickHouse server answers with for an exception code.
func status(code int) int {
	switch code {
	case 6, 26, 27, 38, 41, 42, 43, 53, 62, 70, 72, 117: // bad input: cannot parse, syntax error, type mismatch, incorrect data
		return http.StatusBadRequest
	case 46, 47, 50, 56, 60, 81, 115: // unknown function, identifier, type, storage, table, database, setting
		return http.StatusNotFound
	case 159: // timeout exceeded
		return http.StatusRequestTimeout
	case 48: // not implemented
		return http.StatusNotImplemented
	}
	return http.StatusInternalServerError
}
