package probe_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/probe"
	"github.com/vitrine-ndr/vitrine/source/probe/filter"
	"github.com/vitrine-ndr/vitrine/source/sourcetest"
)

// TestContract has two programs hold the conversation over OpenSSL. The probe looks at one of them.
func TestContract(t *testing.T) {
	id := newIdentity(t)
	for _, side := range []string{"client", "server"} {
		t.Run(side, func(t *testing.T) {
			sourcetest.Run(t, sourcetest.Streams(), func(t testing.TB, c sourcetest.Conversation) source.Source {
				return &conversation{t: t, script: script(t, c), side: side, id: id}
			})
		})
	}
}

// conversation is a probe that sees one conversation.
type conversation struct {
	t      testing.TB
	script string
	side   string
	id     identity
}

//go:embed testdata/peer.py
var peer string

// Run looks until both programs have ended.
func (c *conversation) Run(ctx context.Context, sink source.Sink) error {
	python, port := "/usr/bin/python3", freePort(c.t)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cfg := probe.Config{Filter: filter.Rules{Mode: filter.Only, Rules: []filter.Rule{{CommandLine: "*peer " + c.side + "*"}}}}
	cfg.Ready = func() {
		go func() {
			defer cancel()
			var both sync.WaitGroup
			for _, side := range []string{"server", "client"} {
				cmd := exec.Command(python, "-c", peer, "peer", side, strconv.Itoa(port), c.id.both)
				cmd.Stdin = strings.NewReader(c.script)
				both.Go(func() { runCommand(c.t, cmd) })
			}
			both.Wait()
		}()
	}
	p, err := probe.New(cfg, testkit.Logger(c.t))
	if err != nil {
		return err
	}
	return p.Run(ctx, sink)
}

// script is what peer.py reads.
func script(t testing.TB, c sourcetest.Conversation) string {
	t.Helper()
	type step struct {
		ToServer bool
		Data     []byte
	}
	var steps []step
	for _, s := range c.Steps {
		steps = append(steps, step{s.Dir == flow.ToServer, s.Data})
	}
	b, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
