package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/config"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/source/gateway/assembly"
)

// detectionConfig says whom requests are judged by.
type detectionConfig struct {
	Rules   string        `yaml:"rules" doc:"folder of rule files (.yaml); empty: nothing is judged"`
	Doubt   inspect.Doubt `yaml:"doubt" doc:"where rules block, what becomes of requests that can be understood in two ways, and of connections of which parsing has failed: block or pass"`
	Contact string        `yaml:"contact" doc:"whom the page that a blocked client sees tells to ask"`
	Hashed  config.Size   `yaml:"hashed" doc:"longest body or file of which events have the SHA-256; 0: of none"`
}

func (c *detectionConfig) limits() parse.Limits {
	l := parse.DefaultLimits
	l.Hashed = int64(c.Hashed)
	return l
}

// open reads the rules that the configuration in the folder names. There is no Engine where it names none.
func (c *detectionConfig) open(dir string) (*detect.Engine, error) {
	if c.Rules == "" {
		return nil, nil
	}
	e, err := detect.Compile(os.DirFS(assembly.Beside(dir, c.Rules)))
	if err != nil {
		return nil, fmt.Errorf("detection.rules: %w", err)
	}
	return e, nil
}

// judge is whom transactions are judged by, until it is exchanged.
func (p *gatewayParts) judge() *atomic.Pointer[detect.Engine] {
	j := new(atomic.Pointer[detect.Engine])
	j.Store(p.engine)
	return j
}

// describe tells of the rules.
func describeDetection(out io.Writer, e *detect.Engine) {
	if e == nil {
		fmt.Fprintln(out, "no rules about requests: nothing is judged")
		return
	}
	blocking := 0
	for _, r := range e.Rules() {
		if r.Action == detect.Block {
			blocking++
		}
	}
	fmt.Fprintf(out, "rules about requests: %d, of which %d block\n", len(e.Rules()), blocking)
}
