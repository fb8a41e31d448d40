package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	startWait = 60 * time.Second // the start reads back what is on disk
	pollWait  = 50 * time.Millisecond
	// maxPayload is what the embedded server takes as one message: more than any record of the parsers' limits.
	maxPayload = 8 << 20
)

// embedded is a NATS server inside the program: no listener, no signals, every message synced before it is acknowledged.
type embedded struct {
	*server.Server
	storage server.JetStreamConfig
	logs    *serverLog
}

func startEmbedded(cfg Config, log *slog.Logger) (*embedded, error) {
	if cfg.Dir == "" {
		return nil, errors.New("start bus: no folder given")
	}
	storage := server.JetStreamConfig{
		StoreDir:   cfg.Dir,
		SyncAlways: true,
		// The stream is the only one; the rest is room for its index and for consumers.
		MaxStore:  cfg.MaxBytes + 64<<20,
		MaxMemory: 64 << 20,
		Strict:    true,
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "vitrine",
		DontListen: true,
		NoSigs:     true,
		MaxPayload: maxPayload,
		JetStream:  true,
		StoreDir:   storage.StoreDir,
		SyncAlways: storage.SyncAlways,

		JetStreamMaxStore:      storage.MaxStore,
		JetStreamMaxMemory:     storage.MaxMemory,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("start bus: %w", err)
	}
	e := &embedded{s, storage, &serverLog{log: log, fatal: make(chan string, 1)}}
	s.SetLoggerV2(e.logs, false, false, false)
	s.Start()
	if err := e.waitReady(); err != nil {
		e.stop()
		return nil, fmt.Errorf("start bus in %s: %w", cfg.Dir, err)
	}
	return e, nil
}

// waitReady blocks until the server takes connections or says why it never will.
func (e *embedded) waitReady() error {
	for end := time.Now().Add(startWait); time.Now().Before(end); {
		select {
		case reason := <-e.logs.fatal:
			return errors.New(reason)
		default:
		}
		if e.ReadyForConnections(pollWait) && e.JetStreamEnabled() {
			return nil
		}
	}
	return fmt.Errorf("not ready after %s", startWait)
}

func (e *embedded) stop() {
	e.Shutdown()
	e.WaitForShutdown()
}

// serverLog hands the server's lines to ours. Its notices are of interest only to who looks for a fault.
type serverLog struct {
	log   *slog.Logger
	fatal chan string // the first line after which the server can't go on

	mu   sync.Mutex
	last string // error
	at   time.Time
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }

// Errorf also keeps the line for lastError.
func (l *serverLog) Errorf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	l.log.Error(line)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.at = line, time.Now()
}

// lastError returns the newest error since a time, or "".
func (l *serverLog) lastError(since time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.Before(since) {
		return ""
	}
	return l.last
}

// Fatalf keeps the reason for who waits for the start.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.Errorf(format, v...)
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}
