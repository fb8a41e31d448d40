package main

import (
	"log/slog"
	"os"
	"sync"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/all"
	"github.com/vitrine-ndr/vitrine/reassembly"
	"github.com/vitrine-ndr/vitrine/source/sensor"
)

// newInspector returns the Sink of every source: it knows all protocols.
func newInspector(origin event.Origin, emit func(*event.Event), log *slog.Logger) *inspect.Inspector {
	return inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Time: inspect.DefaultTime,
		Origin: origin, Emit: emit, Log: log,
	})
}

// captures are the files of one replay or import, read one after another.
type captures struct {
	paths []string
	keys  *keylog.Store // takes the secrets that the files hold
	total int64         // bytes of all files, 0 if unknown

	mu     sync.Mutex
	opened []*capture.File
}

func newCaptures(paths []string, keys *keylog.Store) *captures {
	c := &captures{paths: paths, keys: keys}
	for _, path := range paths {
		info, err := os.Stat(path)
		if path == "-" || err != nil || !info.Mode().IsRegular() {
			c.total = 0
			break
		}
		c.total += info.Size()
	}
	return c
}

// sensor returns a Sensor that reads the files. Ciphertext waits for its key to the end of the file: a key may come later in it.
func (c *captures) sensor(seed flow.Seed, recorder sensor.Recorder, log *slog.Logger) *sensor.Sensor {
	cfg := sensor.Config{Keys: c.keys, HeldBytes: sensor.DefaultHeldBytes, Reassembly: reassembly.DefaultConfig(), Recorder: recorder}
	cfg.Reassembly.Seed = seed
	for _, path := range c.paths {
		cfg.Inputs = append(cfg.Inputs, sensor.Input{Name: path, Open: func() (capture.Reader, error) { return c.open(path) }})
	}
	return sensor.New(cfg, log)
}

func (c *captures) open(path string) (capture.Reader, error) {
	file, err := capture.OpenFile(path, capture.FileOptions{Secrets: func(kind uint32, data []byte) {
		if kind == capture.TLSKeyLog {
			c.keys.Add(data)
		}
	}})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = append(c.opened, file)
	return file, nil
}

// done returns how many bytes of the files were read.
func (c *captures) done() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, file := range c.opened {
		done, _ := file.Progress()
		n += done
	}
	return n
}
