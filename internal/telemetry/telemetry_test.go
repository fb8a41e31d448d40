package telemetry

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

const hostile = "\x1b]0;owned\x07 \u009b2J \u202e\n"

func TestHostileStringsStayInTheirLine(t *testing.T) {
	for name, newLogger := range map[string]func(*bytes.Buffer) *slog.Logger{
		"text": func(b *bytes.Buffer) *slog.Logger { return newTextLogger(b, slog.LevelInfo) },
		"json": func(b *bytes.Buffer) *slog.Logger { return newJSONLogger(b, slog.LevelInfo) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			newLogger(&b).With(hostile, hostile).Info(hostile, "host", hostile, "err", os.ErrExist)
			line, rest, _ := strings.Cut(b.String(), "\n")
			if rest != "" || strings.ContainsAny(line, "\x1b\x07\u009b\u202e") {
				t.Errorf("logged %q", b.String())
			}
			if name == "json" {
				var got struct{ Host string }
				if err := json.Unmarshal([]byte(line), &got); err != nil || got.Host != hostile {
					t.Errorf("the line means %q, %v", got.Host, err)
				}
			}
		})
	}
}

func TestNewLoggerWritesJSONToAFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	NewLogger(f, slog.LevelInfo).Info("hello", "took", 1500*time.Millisecond)
	if b, err := os.ReadFile(f.Name()); err != nil || !json.Valid(b) || !strings.Contains(string(b), `"took":"1.5s"`) {
		t.Errorf("log holds %q, %v", b, err)
	}
}

func TestValues(t *testing.T) {
	reg := NewRegistry()
	s := NewStage(reg, "bus", "events", "queue_full", "stopped")
	s.In.Add(5)
	s.Out.Add(3)
	s.Drop("queue_full", 2)
	CounterFunc(reg, "capture_bytes", "Bytes.", prometheus.Labels{"interface": "lo"}, func() uint64 { return 7 })
	Gauge(reg, "bus_waiting", "Waiting.", func() float64 { return 1 })
	got, err := Values(reg)
	if err != nil {
		t.Fatal(err)
	}
	want := []Value{
		{"vitrine_bus_dropped_total", map[string]string{"reason": "queue_full"}, 2},
		{"vitrine_bus_dropped_total", map[string]string{"reason": "stopped"}, 0},
		{"vitrine_bus_in_total", nil, 5},
		{"vitrine_bus_out_total", nil, 3},
		{"vitrine_bus_waiting", nil, 1},
		{"vitrine_capture_bytes_total", map[string]string{"interface": "lo"}, 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	NewStage(nil, "unregistered", "events").Drop("reason", 1)
}
