package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/vitrine-ndr/vitrine/internal/chdb/socket"
	"github.com/vitrine-ndr/vitrine/store/query"
)

// nativeRevision is that of ClickHouse's Native format when a request names no client_protocol_version. Every server since
// 20.x reads and writes it, and so does the embedded engine.
const nativeRevision = 0

// maxErrorText bounds how much of an error's text is kept.
const maxErrorText = 4 << 10

// Error is what the database says of a statement that it refuses.
type Error struct {
	Code    int // ClickHouse's error number, 0 if it gave none
	Status  int // of HTTP
	Message string
}

func (e *Error) Error() string { return e.Message }

// ClickHouse's numbers of errors that a caller reacts to.
const (
	codeTooManyQueries = 202
	codeNoSuchPart     = 232
	codeMemoryLimit    = 241
	codeNotEnoughSpace = 243
	codeTooManyParts   = 252
	codeOverloaded     = 745
)

// client speaks ClickHouse's HTTP interface. It is safe for concurrent use.
type client struct {
	http     *http.Client
	base     string // http://host:port/
	user     *url.Userinfo
	database string
}

// newClient returns a client of the ClickHouse server at rawURL: http(s)://user:password@host:port/database.
func newClient(rawURL string) (*client, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("read ClickHouse URL: it must be http(s)://user:password@host:port/database")
	}
	database := strings.Trim(u.Path, "/")
	if database == "" {
		database = defaultDatabase
	}
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.MaxIdleConnsPerHost = 16
	return &client{http: &http.Client{Transport: tr}, base: u.Scheme + "://" + u.Host + "/", user: u.User, database: database}, nil
}

// newSocketClient returns a client of vitrine-store.
func newSocketClient(path string) *client {
	return &client{
		http: &http.Client{Transport: &http.Transport{
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dialPatiently(ctx, path) },
			MaxIdleConnsPerHost: 16, DisableCompression: true,
		}},
		base: "http://vitrine-store/", database: defaultDatabase,
	}
}

// restartTime is how long a request waits for an engine that is being started again.
const (
	restartTime = 5 * time.Second
	dialPause   = 20 * time.Millisecond
)

func dialPatiently(ctx context.Context, path string) (net.Conn, error) {
	for late := time.Now().Add(restartTime); ; {
		conn, err := socket.Dial(ctx, path)
		if err == nil || ctx.Err() != nil || time.Now().After(late) {
			return conn, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(dialPause):
		}
	}
}

const defaultDatabase = "vitrine"

func (c *client) close() { c.http.CloseIdleConnections() }

// ping asks whether the server answers.
func (c *client) ping(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "ping", nil, nil, func(io.Reader) error { return nil })
}

// createDatabase makes the database that all other statements run in.
func (c *client) createDatabase(ctx context.Context) error {
	if !plainName(c.database) {
		return fmt.Errorf("database name %q may only have letters, digits and _", c.database)
	}
	args := url.Values{"query": {"CREATE DATABASE IF NOT EXISTS " + c.database}}
	return c.do(ctx, http.MethodPost, "", args, nil, func(io.Reader) error { return nil })
}

func plainName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// exec runs a statement without output.
func (c *client) exec(ctx context.Context, sql string, params ...query.Param) error {
	return c.do(ctx, http.MethodPost, "", c.args(ctx, params), strings.NewReader(sql), func(io.Reader) error { return nil })
}

// query runs a SELECT and decodes its blocks into results, calling each after every one that has rows. If each is nil, the
// last block stays in results.
func (c *client) query(ctx context.Context, sql string, params []query.Param, results proto.Results, each func(rows int) error) error {
	args := c.args(ctx, params)
	args.Set("cancel_http_readonly_queries_on_client_close", "1")
	body := strings.NewReader(sql + "\nFORMAT Native")
	return c.do(ctx, http.MethodPost, "", args, body, func(r io.Reader) error {
		for in := proto.NewReader(r); ; {
			var b proto.Block
			err := b.DecodeRawBlock(in, nativeRevision, results)
			switch {
			case errors.Is(err, io.EOF) && b.Columns == 0:
				return nil
			case err != nil:
				return fmt.Errorf("read result: %w", err)
			case b.Rows > 0 && each != nil:
				if err := each(b.Rows); err != nil {
					return err
				}
			}
		}
	})
}

// insert adds the rows of the columns to a table, and returns once they are stored.
func (c *client) insert(ctx context.Context, table string, rows int, in proto.Input) error {
	var sql strings.Builder
	sql.WriteString("INSERT INTO " + table + " (")
	for i := range in {
		if i > 0 {
			sql.WriteString(", ")
		}
		sql.WriteString("`" + in[i].Name + "`")
	}
	sql.WriteString(") FORMAT Native")
	var buf proto.Buffer
	if err := (proto.Block{Columns: len(in), Rows: rows}).EncodeRawBlock(&buf, nativeRevision, in); err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	args := c.args(ctx, nil)
	args.Set("query", sql.String())
	args.Set("max_partitions_per_insert_block", "0") // an import may span any number of weeks; the schema bounds them
	// Indexes are made by the first merge: a new part is small enough to be looked through, and each index is two more
	// files to be synced.
	args.Set("materialize_skip_indexes_on_insert", "0")
	return c.do(ctx, http.MethodPost, "", args, bytes.NewReader(buf.Buf), func(io.Reader) error { return nil })
}

// args returns the arguments that every statement has. Values of parameters travel in ClickHouse's escaped text form.
func (c *client) args(ctx context.Context, params []query.Param) url.Values {
	args := url.Values{"database": {c.database}}
	for _, p := range params {
		args.Set("param_"+p.Name, escape(p.Value))
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := max(time.Until(deadline), time.Millisecond)
		args.Set("max_execution_time", strconv.FormatFloat(left.Seconds(), 'f', 3, 64))
	}
	return args
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`, "\b", `\b`, "\f", `\f`).Replace(s)
}

// do sends a request and calls read with the body of a good answer.
func (c *client) do(ctx context.Context, method, path string, args url.Values, body io.Reader, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path+"?"+args.Encode(), body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if !args.Has("query") {
		// Tells the transport, not the server, that this may be sent again when a kept connection turns out to be dead.
		// Everything but an insert may.
		req.Header["X-Idempotency-Key"] = nil
	}
	if c.user != nil {
		password, _ := c.user.Password()
		req.Header.Set("X-ClickHouse-User", c.user.Username())
		req.Header.Set("X-ClickHouse-Key", password)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return unreachable(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return readError(res)
	}
	in := &answer{r: res.Body}
	err = read(in)
	if err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	if in.broken != nil {
		return unreachable(ctx, in.broken)
	}
	return err
}

// answer remembers that it broke off, which a decoder may report as something else.
type answer struct {
	r      io.Reader
	broken error
}

func (a *answer) Read(b []byte) (int, error) {
	n, err := a.r.Read(b)
	if err != nil && err != io.EOF {
		a.broken = err
	}
	return n, err
}

// errUnreachable says that the database did not answer: whether it did what it was asked to is unknown.
var errUnreachable = errors.New("the database does not answer")

// unreachable leaves out the URL of err, which has values of parameters in it.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return fmt.Errorf("%w: %w", errUnreachable, err)
}

func readError(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorText)) // what there is of it
	code, _ := strconv.Atoi(res.Header.Get("X-ClickHouse-Exception-Code"))
	message := strings.TrimSpace(string(text))
	if message == "" {
		message = "the database answered " + res.Status
	}
	return &Error{Code: code, Status: res.StatusCode, Message: message}
}
