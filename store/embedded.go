package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// engine keeps a vitrine-store process running.
type engine struct {
	cfg      Embedded
	log      *slog.Logger
	client   *client
	restarts prometheus.Counter
	pid      atomic.Int64 // of the last process

	cancel context.CancelFunc
	done   chan struct{}
	err    error // of the last process; valid once done is closed
}

const (
	readyTime = 2 * time.Minute  // to open a big database
	stopTime  = 20 * time.Second // to end running statements
	steady    = 10 * time.Second // a process that lived as long has not failed at its start
	lastStart = 2 * time.Second  // longest pause before the next process
)

// startEngine returns once the engine answers, or its first process has ended.
func startEngine(ctx context.Context, cfg Embedded, restarts prometheus.Counter, log *slog.Logger) (*engine, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("find data folder: %w", err)
	}
	cfg.Dir = dir
	if cfg.Program == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find vitrine-store: %w", err)
		}
		cfg.Program = filepath.Join(filepath.Dir(exe), "vitrine-store")
	}
	e := &engine{cfg: cfg, log: log, restarts: restarts, client: newSocketClient(filepath.Join(dir, "store.sock")), done: make(chan struct{})}
	life, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	first := make(chan error, 1)
	go e.supervise(life, first)
	select {
	case err = <-first:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

// stop ends the process in good order, by the end of its standard input, and waits for it.
func (e *engine) stop() error {
	e.cancel()
	<-e.done
	e.client.close()
	return e.err
}

// supervise starts processes until ctx ends or the first one fails. first gets the outcome of the first start.
func (e *engine) supervise(ctx context.Context, first chan<- error) {
	defer close(e.done)
	// The kernel sends the parent-death signal when the thread ends that has started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	started := false
	for pause := firstPause; ; pause = min(2*pause, lastStart) {
		began := time.Now()
		err := e.runOnce(ctx, func() {
			if !started {
				started = true
				first <- nil
			}
		})
		if ctx.Err() != nil {
			e.err = err
			return
		}
		if !started {
			first <- err
			return
		}
		if time.Since(began) > steady {
			pause = firstPause
		}
		e.restarts.Inc()
		e.log.Error("engine ended, starting it again", "error", err, "pause", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// runOnce runs one process until it ends or ctx does, and calls ready when it answers. The error says why it ended.
func (e *engine) runOnce(ctx context.Context, ready func()) error {
	p, err := e.start()
	if err != nil {
		return err
	}
	late := time.After(readyTime)
	for {
		select {
		case <-p.ready:
			late = nil
			ready()
		case <-late:
			p.kill()
			return errors.Join(errors.New("the engine does not get ready"), <-p.ended)
		case err := <-p.ended:
			return err
		case <-ctx.Done():
			return p.stop()
		}
	}
}

// process is one run of vitrine-store.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ready chan struct{} // gets one value once it answers
	ended chan error    // gets one value
}

func (e *engine) start() (*process, error) {
	args := []string{"-child", "-data", e.cfg.Dir}
	if e.cfg.Library != "" {
		args = append(args, "-library", e.cfg.Library)
	}
	if e.cfg.Memory > 0 {
		args = append(args, "-memory", strconv.FormatInt(e.cfg.Memory, 10))
	}
	if e.cfg.Threads > 0 {
		args = append(args, "-threads", strconv.Itoa(e.cfg.Threads))
	}
	cmd := exec.Command(e.cfg.Program, args...)
	// Signals of the terminal are for this program, which stops the engine when it has no more use for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start vitrine-store: %w", err)
	}
	e.pid.Store(int64(cmd.Process.Pid))
	p := &process{cmd: cmd, stdin: stdin, ready: make(chan struct{}, 1), ended: make(chan error, 1)}
	go func() {
		// One line, by which the process says that it answers. An answer at the socket could be another process's.
		if n, _ := stdout.Read(make([]byte, len("ready\n"))); n > 0 {
			p.ready <- struct{}{}
		}
		last := e.forwardLog(stderr)
		err := cmd.Wait()
		if err != nil && last != "" {
			err = fmt.Errorf("%s: %w", last, err)
		}
		p.ended <- err
	}()
	return p, nil
}

// stop lets the process end what it is doing.
func (p *process) stop() error {
	p.stdin.Close()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(stopTime):
		p.kill()
		return errors.Join(errors.New("the engine did not stop in time"), <-p.ended)
	}
}

func (p *process) kill() { _ = p.cmd.Process.Kill() } // it may have ended already

// maxLogLine bounds what is kept of a line of the engine's log.
const maxLogLine = 64 << 10

// forwardLog writes the lines of vitrine-store's log to this program's until they end, and returns the last error in them.
func (e *engine) forwardLog(r io.Reader) (last string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLogLine)
	for lines.Scan() {
		var l struct {
			Level slog.Level `json:"level"`
			Msg   string     `json:"msg"`
			Error string     `json:"error"`
		}
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			l.Level, l.Msg = slog.LevelWarn, lines.Text()
		}
		if l.Level >= slog.LevelWarn {
			if last = l.Error; last == "" {
				last = l.Msg
			}
		}
		attrs := []slog.Attr{slog.String("process", "vitrine-store")}
		if l.Error != "" {
			attrs = append(attrs, slog.String("error", l.Error))
		}
		e.log.LogAttrs(context.Background(), l.Level, l.Msg, attrs...)
	}
	_, _ = io.Copy(io.Discard, r) // after a line that was too long
	return last
}
