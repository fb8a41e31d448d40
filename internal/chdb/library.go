// Package chdb hosts the ClickHouse engine: it binds libchdb's C interface without cgo, and keeps a pool of connections to
// one data folder. SQL and parameters go in, bytes in a ClickHouse format come out.
//
// It knows nothing of tables or events. It belongs in a process of its own: the engine's threads, memory and faults are in
// whatever process loads it.
package chdb

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Library is libchdb, loaded. There is one at most per process, and it stays.
type Library struct {
	connect   func(argc int32, argv unsafe.Pointer) *handle
	closeConn func(conn *handle)

	query        statementFunc
	streamQuery  statementFunc
	streamFetch  func(c, stream unsafe.Pointer) unsafe.Pointer
	streamCancel func(c, stream unsafe.Pointer)

	streamInsert  statementFunc
	insertAppend  func(stream unsafe.Pointer, data *byte, n uintptr) int32
	insertDone    func(stream unsafe.Pointer) unsafe.Pointer
	insertError   func(stream unsafe.Pointer) *byte
	insertDestroy func(stream unsafe.Pointer)

	resultBuffer  func(res unsafe.Pointer) *byte
	resultLength  func(res unsafe.Pointer) uintptr
	resultRows    func(res unsafe.Pointer) uint64
	resultWritten func(res unsafe.Pointer) uint64
	resultError   func(res unsafe.Pointer) *byte
	resultDestroy func(res unsafe.Pointer)
}

// statementFunc is the C signature that all calls with a statement have: the statement, the format of its input or output,
// and four arrays of count elements.
type statementFunc func(c unsafe.Pointer, sql *byte, n uintptr, format *byte, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer

// handle is what chdb_connect returns a pointer to: the connection, which other calls take by value.
type handle struct{ conn unsafe.Pointer }

// Load maps the shared library at path into this process.
//
// The engine's own handlers of fatal signals are switched off, since they hold a broken process back for minutes. What
// stays is the kernel's default: a fault ends the process at once, and whoever supervises it starts another.
func Load(path string) (*Library, error) {
	so, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	l := new(Library)
	var setSignalHandlers func(on int32)
	for name, fn := range map[string]any{
		"chdb_connect": &l.connect, "chdb_close_conn": &l.closeConn,
		"chdb_query_with_params_n": &l.query, "chdb_stream_query_with_params_n": &l.streamQuery,
		"chdb_stream_fetch_result": &l.streamFetch, "chdb_stream_cancel_query": &l.streamCancel,
		"chdb_stream_insert_with_params_n": &l.streamInsert, "chdb_stream_append": &l.insertAppend, "chdb_stream_done": &l.insertDone,
		"chdb_stream_insert_error": &l.insertError, "chdb_destroy_insert_stream": &l.insertDestroy,
		"chdb_result_buffer": &l.resultBuffer, "chdb_result_length": &l.resultLength,
		"chdb_result_rows_read": &l.resultRows, "chdb_result_rows_written": &l.resultWritten,
		"chdb_result_error": &l.resultError, "chdb_destroy_query_result": &l.resultDestroy,
		"chdb_set_signal_handlers_enabled": &setSignalHandlers,
	} {
		sym, err := purego.Dlsym(so, name)
		if err != nil {
			return nil, fmt.Errorf("find %s in %s: %w", name, path, err)
		}
		purego.RegisterFunc(fn, sym)
	}
	setSignalHandlers(0)
	return l, nil
}

// Connect opens one more connection with the engine's command-line arguments; the first one starts the engine. All must
// name the same path. A connection runs one statement at a time.
func (l *Library) Connect(args ...string) (*Conn, error) {
	argv := cStrings(append([]string{"vitrine-store"}, args...))
	h := l.connect(int32(len(argv)), unsafe.Pointer(unsafe.SliceData(argv)))
	if h == nil || h.conn == nil {
		return nil, fmt.Errorf("open the engine: it refused its arguments or its data folder")
	}
	return &Conn{lib: l, h: h, settings: map[string]string{}}, nil
}

// cStrings returns pointers to copies that end in NUL. They are valid as long as the slice is reachable.
func cStrings(s []string) []*byte {
	out := make([]*byte, len(s))
	for i := range s {
		out[i] = &append([]byte(s[i]), 0)[0]
	}
	return out
}

// goString copies a C string; nil gives the empty string.
func goString(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}
