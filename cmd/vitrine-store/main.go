// Command vitrine-store hosts the embedded ClickHouse engine and speaks ClickHouse's HTTP interface on a Unix socket. It is
// a child of vitrine, which starts, watches and restarts it; with a ClickHouse server of your own it is not needed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/internal/chdb"
	"github.com/vitrine-ndr/vitrine/internal/chdb/httpd"
	"github.com/vitrine-ndr/vitrine/internal/chdb/socket"
)

// stopTime is how long running statements have to end when the program is told to stop.
const stopTime = 10 * time.Second

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	var o options
	if err := o.parse(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "vitrine-store:", err)
		}
		os.Exit(2)
	}
	unix.Umask(0o077) // what the engine writes is decrypted traffic
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if o.child {
		ctx = untilEOF(ctx, os.Stdin)
	}
	if err := run(ctx, o, log); err != nil {
		log.Error("stopped", "error", err)
		os.Exit(1)
	}
}

type options struct {
	engine  chdb.Config
	library string
	socket  string
	child   bool
}

func (o *options) parse(args []string) error {
	f := flag.NewFlagSet("vitrine-store", flag.ContinueOnError)
	f.StringVar(&o.engine.Path, "data", "", "folder of the database")
	f.Int64Var(&o.engine.Memory, "memory", 1536<<20, "most memory for the engine, bytes")
	f.IntVar(&o.engine.Threads, "threads", 2, "threads for a statement, and for merges")
	f.IntVar(&o.engine.Connections, "connections", 8, "statements at a time")
	f.StringVar(&o.library, "library", "", "libchdb.so; by default $VITRINE_LIBCHDB, then beside this program, then /usr/lib/vitrine")
	f.StringVar(&o.socket, "socket", "", "socket to listen on; by default store.sock in the data folder")
	f.BoolVar(&o.child, "child", false, "print ready when it is, and stop when standard input ends, as it does when the parent dies")
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("unknown argument %q", f.Arg(0))
	case o.engine.Path == "":
		return errors.New("-data is missing")
	case o.engine.Memory < 256<<20:
		return errors.New("-memory must be 256 MiB at least")
	case o.engine.Threads < 1 || o.engine.Connections < 1:
		return errors.New("-threads and -connections must be 1 at least")
	}
	if o.socket == "" {
		o.socket = filepath.Join(o.engine.Path, "store.sock")
	}
	return nil
}

// untilEOF returns a context that ends when r does.
func untilEOF(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, r)
		cancel()
	}()
	return ctx
}

func run(ctx context.Context, o options, log *slog.Logger) error {
	path, err := findLibrary(o.library)
	if err != nil {
		return err
	}
	lib, err := chdb.Load(path)
	if err != nil {
		return err
	}
	pool, err := chdb.Open(lib, o.engine)
	if err != nil {
		return fmt.Errorf("open %s: %w", o.engine.Path, err)
	}
	defer pool.Close()
	l, err := socket.Listen(o.socket)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: httpd.New(pool, log), ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 1 << 20, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	log.Info("engine ready", "socket", o.socket)
	if o.child {
		fmt.Println("ready") // for the parent, which cannot tell by the socket whose it is
	}
	select {
	case err = <-served:
	case <-ctx.Done():
		err = shutdown(ctx, srv)
	}
	log.Info("engine stopping")
	return err
}

// shutdown lets running statements end; those that take too long are ended with their connections.
func shutdown(ctx context.Context, srv *http.Server) error {
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := srv.Shutdown(late); err != nil {
		return errors.Join(fmt.Errorf("wait for statements: %w", err), srv.Close())
	}
	return nil
}

// findLibrary returns the first place that has libchdb.
func findLibrary(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	var places []string
	if env := os.Getenv("VITRINE_LIBCHDB"); env != "" {
		places = append(places, env)
	}
	if exe, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(exe), "libchdb.so"))
	}
	places = append(places, "/usr/lib/vitrine/libchdb.so")
	for _, p := range places {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("libchdb.so is in none of %q: get it with make build", places)
}
