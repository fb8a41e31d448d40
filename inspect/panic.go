package inspect

import (
	"fmt"
	"log/slog"
	"path"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	panicInterval = time.Minute // at most one panic of a protocol is logged in it
	maxFrames     = 32          // of a stack that are logged
)

// guard is the one place at which a parser's panic ends.
func (s *stream) guard(f func()) {
	defer func() {
		if recover() != nil { // the value is not kept: it may hold payload
			s.inspector.stats.panics.Add(1)
			s.inspector.panics.log(s.inspector.cfg.Log, s.name)
			s.giveUp("parser_panic")
		}
	}()
	f()
}

// panics are those that were logged. The zero value is ready.
type panics struct {
	mu     sync.Mutex
	logged map[string]time.Time // by protocol
}

// log tells where the panic that is being recovered from was raised. It must be called by the deferred function itself.
func (p *panics) log(log *slog.Logger, protocol string) {
	now := time.Now()
	p.mu.Lock()
	last, seen := p.logged[protocol]
	due := !seen || now.Sub(last) >= panicInterval
	if due {
		if p.logged == nil {
			p.logged = map[string]time.Time{}
		}
		p.logged[protocol] = now
	}
	p.mu.Unlock()
	if due {
		log.Error("parser failed", "protocol", protocol, "stack", stack())
	}
}

// stack returns the functions and lines between the panic and guard, innermost first.
func stack() string {
	callers := make([]uintptr, 4*maxFrames)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	var lines []string
	panicked := false
	for more := true; more && len(lines) < maxFrames; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case strings.HasSuffix(f.Function, "(*stream).guard"):
			more = false
		case strings.HasPrefix(f.Function, "runtime."):
			panicked = true
		case panicked:
			lines = append(lines, fmt.Sprintf("%s (%s:%d)", path.Base(f.Function), path.Base(f.File), f.Line))
		}
	}
	return strings.Join(lines, " < ")
}
