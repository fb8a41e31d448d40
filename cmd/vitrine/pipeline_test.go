package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// TestProgressOfBothPasses reads files for their secrets, then for their packets: one is half of the way, the other the rest.
func TestProgressOfBothPasses(t *testing.T) {
	var paths []string
	for _, name := range []string{"tls13-http1", "tls12-http1"} {
		paths = append(paths, filepath.Join("../../testdata/cases", name, "traffic.pcapng"))
	}
	c := newCaptures(paths, keylog.NewStore(10))
	if c.total == 0 || c.done() != 0 {
		t.Fatalf("%d of %d bytes are done before anything began", c.done(), c.total)
	}
	for _, path := range paths {
		c.readSecrets(t.Context(), path)
	}
	if c.done() != c.total/2 || c.read() != 0 {
		t.Errorf("%d of %d bytes are done after the first pass", c.done(), c.total)
	}
	c = newCaptures(paths, keylog.NewStore(10))
	log := testkit.Logger(t)
	sink := newInspector(event.Origin{}, func(*event.Event) {}, log)
	if err := c.run(t.Context(), c.sensor(0, nil, log), sink); err != nil {
		t.Fatal(err)
	}
	if c.done() != c.total || c.read() != c.total {
		t.Errorf("%d of %d bytes are done at the end, %d read", c.done(), c.total, c.read())
	}
	if c := newCaptures(append(paths, os.DevNull), nil); c.total != 0 {
		t.Errorf("%d bytes in all, one of them a device", c.total)
	}
}
