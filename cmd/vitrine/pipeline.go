package main

import (
	"context"
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
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/sensor"
)

// newInspector returns the Sink of every source: it knows all protocols.
func newInspector(origin event.Origin, emit func(*event.Event), log *slog.Logger) *inspect.Inspector {
	return inspect.New(inspect.Config{
		Protocols: all.Protocols, Unknown: all.Unknown, Limits: parse.DefaultLimits, Time: inspect.DefaultTime,
		Origin: origin, Emit: emit, Log: log,
	})
}

// captures are the files of one replay or import. Regular files are read twice: first all of them for the secrets that they hold, which
// may stand behind the packets that they open, or in another file; then one after another for the packets. What is compressed is
// decompressed twice.
type captures struct {
	paths []string
	keys  *keylog.Store // takes the secrets that the files hold
	total int64         // bytes of all files, 0 if unknown

	mu       sync.Mutex
	searched int64         // bytes of files that were read for their secrets
	search   *capture.File // the one that is being read for them, or nil
	opened   []*capture.File
}

func newCaptures(paths []string, keys *keylog.Store) *captures {
	c := &captures{paths: paths, keys: keys}
	for _, path := range paths {
		size, regular := sizeOf(path)
		if !regular {
			c.total = 0
			break
		}
		c.total += size
	}
	return c
}

// sizeOf returns the bytes of a regular file, and whether it is one: all others can be read only once.
func sizeOf(path string) (int64, bool) {
	info, err := os.Stat(path)
	if path == "-" || err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}

// sensor returns a Sensor that reads the files. Where a key may come later in them, ciphertext waits for it to the end.
func (c *captures) sensor(seed flow.Seed, recorder sensor.Recorder, log *slog.Logger) *sensor.Sensor {
	cfg := sensor.Config{Keys: c.keys, HeldBytes: sensor.DefaultHeldBytes, Reassembly: reassembly.DefaultConfig(), Recorder: recorder}
	cfg.Reassembly.Seed = seed
	for _, path := range c.paths {
		cfg.Inputs = append(cfg.Inputs, sensor.Input{Name: path, Open: func() (capture.Reader, error) { return c.open(path) }})
	}
	return sensor.New(cfg, log)
}

func (c *captures) open(path string) (capture.Reader, error) {
	file, err := capture.OpenFile(path, c.options())
	if err != nil {
		return nil, err
	}
	c.note(func() { c.opened = append(c.opened, file) })
	return file, nil
}

func (c *captures) options() capture.FileOptions {
	return capture.FileOptions{Secrets: func(kind uint32, data []byte) {
		if kind == capture.TLSKeyLog {
			c.keys.Add(data)
		}
	}}
}

// run reads the secrets of all files, then their packets with the Sensor. It returns at the end or when ctx is done.
func (c *captures) run(ctx context.Context, s *sensor.Sensor, sink source.Sink) error {
	dropped, all := c.keys.Stats().Dropped, true
	for _, path := range c.paths {
		all = c.readSecrets(ctx, path) && all
	}
	if all && c.keys.Stats().Dropped == dropped {
		s.KeysComplete()
	}
	return s.Run(ctx, sink)
}

// readSecrets takes the secrets that a file holds. It reports whether there can be no more; damage ends the packets too, so they tell of it.
func (c *captures) readSecrets(ctx context.Context, path string) bool {
	size, regular := sizeOf(path)
	if !regular {
		return false
	}
	file, err := capture.OpenFile(path, c.options())
	if err != nil {
		return true
	}
	defer file.Close()
	c.note(func() { c.search = file })
	_ = file.ReadSecrets(ctx)
	c.note(func() { c.search, c.searched = nil, c.searched+size })
	return true
}

func (c *captures) note(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// read returns how many bytes of the files were read for their packets.
func (c *captures) read() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, file := range c.opened {
		done, _ := file.Progress()
		n += done
	}
	return n
}

// done returns how much of total is done: reading for secrets is one half of it, reading for packets the other.
func (c *captures) done() int64 {
	n := c.read()
	if c.total == 0 {
		return n
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n += c.searched
	if c.search != nil {
		found, _ := c.search.Progress()
		n += found
	}
	return n / 2
}
