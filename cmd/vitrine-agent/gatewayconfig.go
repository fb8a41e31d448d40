package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/vitrine-ndr/vitrine/detect"
	"github.com/vitrine-ndr/vitrine/export/outlet"
	"github.com/vitrine-ndr/vitrine/inspect"
	"github.com/vitrine-ndr/vitrine/internal/config"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/source/gateway/assembly"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// gatewayConfig is the configuration of vitrine-agent gateway. Files that it names lie beside it, unless their paths are absolute.
type gatewayConfig struct {
	assembly.Config `yaml:",inline"`
	Authorities     []authorityConfig `yaml:"authorities"`
	Export          outlet.Config     `yaml:"export"`
	Rules           policy.Rules      `yaml:"rules"`
	Detection       detectionConfig   `yaml:"detection"`
}

type authorityConfig struct {
	Name        string      `yaml:"name" doc:"by which policies choose it"`
	Certificate string      `yaml:"certificate" doc:"PEM file of the authority's certificate, followed by those of its issuers; or a PKCS#12 file (.p12, .pfx) with the key too"`
	Key         token.Place `yaml:"key" doc:"PEM file of the private key, which may be encrypted; or the URI of one in a PKCS#11 token (RFC 7512)"`
	Passphrase  string      `yaml:"passphrase_file" doc:"file of the passphrase that opens the key"`
}

func defaultGatewayConfig() *gatewayConfig {
	return &gatewayConfig{Config: assembly.Default(), Detection: detectionConfig{Doubt: inspect.BlockDoubt, Hashed: config.Size(parse.DefaultLimits.Hashed)}}
}

// Validate checks what no part checks by itself.
func (c *gatewayConfig) Validate() error {
	if len(c.Authorities) == 0 {
		return errors.New("authorities must have one at least; \"vitrine-agent gateway trial-ca\" makes one")
	}
	return errors.Join(c.Config.Validate(), c.Export.Validate(), c.Detection.Doubt.Validate("detection.doubt"))
}

// gatewayParts are what a configuration names, read and checked.
type gatewayParts struct {
	*assembly.Parts
	all    []*authority.Authority
	byName map[string]*authority.Authority // and the first by the empty name too
	engine *detect.Engine                  // nil: nothing is judged
	export *outlet.Outlet                  // not by open: it is for a gateway that runs
}

// open reads all that the configuration in the file names.
func (c *gatewayConfig) open(file string, now time.Time) (*gatewayParts, error) {
	dir := filepath.Dir(file)
	p := &gatewayParts{byName: map[string]*authority.Authority{}}
	table, err := policy.Compile(c.Rules)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if p.engine, err = c.Detection.open(dir); err != nil {
		return nil, err
	}
	for _, a := range c.Authorities {
		if err := p.addAuthority(a, dir, now); err != nil {
			return nil, err
		}
	}
	for _, name := range table.Authorities() {
		if p.byName[name] == nil {
			return nil, fmt.Errorf("rules: there is no authority %q", name)
		}
	}
	p.Parts, err = c.Read(dir)
	return p, err
}

func (p *gatewayParts) addAuthority(c authorityConfig, dir string, now time.Time) error {
	a, err := authority.Load(authority.Files{Certificate: c.Certificate, Key: c.Key, Passphrase: c.Passphrase, Dir: dir}, now)
	if err != nil {
		return err
	}
	if len(p.all) == 0 {
		p.byName[""] = a
	}
	if c.Name != "" {
		if p.byName[c.Name] != nil {
			return fmt.Errorf("authority %q is there twice", c.Name)
		}
		p.byName[c.Name] = a
	}
	p.all = append(p.all, a)
	return nil
}
