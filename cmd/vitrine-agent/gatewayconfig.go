package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/config"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/admission"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/divert"
	"github.com/vitrine-ndr/vitrine/source/gateway/front"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// gatewayConfig is the configuration of vitrine-agent gateway. Files that it names lie beside it, unless their paths are absolute.
type gatewayConfig struct {
	Listen      listenConfig      `yaml:"listen"`
	Users       string            `yaml:"users" doc:"file of those who may use the gateway, in the form of \"htpasswd -B\"; everybody if empty"`
	Authorities []authorityConfig `yaml:"authorities"`
	Trust       trustConfig       `yaml:"trust"`
	Allow       []string          `yaml:"allow" doc:"CIDRs that may be connected to though they are of this machine, of the link or of metadata services"`
	Limits      gatewayLimits     `yaml:"limits"`
	Hold        holdConfig        `yaml:"hold"`
	Pins        pinsConfig        `yaml:"pins"`
	Rules       policy.Rules      `yaml:"rules"`
}

type listenConfig struct {
	Connect string `yaml:"connect" flag:"connect" doc:"address and port for HTTP CONNECT"`
	SOCKS5  string `yaml:"socks5" flag:"socks5" doc:"address and port for SOCKS5"`
	// Transparent is for connections that are routed through this machine.
	Transparent uint16 `yaml:"transparent" doc:"port that the kernel diverts the connections of scopes to; 0: none"`
	OwnSource   bool   `yaml:"own_source" doc:"of diverted connections, servers see this machine's address, not the client's"`
}

type authorityConfig struct {
	Name        string `yaml:"name" doc:"by which policies choose it"`
	Certificate string `yaml:"certificate" doc:"PEM file of the authority's certificate, followed by those of its issuers; or a PKCS#12 file (.p12, .pfx) with the key too"`
	Key         string `yaml:"key" doc:"PEM file of the private key, which may be encrypted"`
	Passphrase  string `yaml:"passphrase_file" doc:"file of the passphrase that opens the key"`
}

type trustConfig struct {
	System bool     `yaml:"system" doc:"trust servers that this machine trusts"`
	Roots  []string `yaml:"roots" doc:"PEM files of further authorities that servers may have their certificates of"`
	// Complete and Revocation have the gateway connect to where certificates point.
	Complete   bool              `yaml:"complete" doc:"fetch intermediate certificates that servers do not send"`
	Revocation origin.Revocation `yaml:"revocation" doc:"off; stapled: by what servers bring; soft: by OCSP and revocation lists too, good if those do not answer; hard: bad then"`
}

type gatewayLimits struct {
	Connections int           `yaml:"connections" doc:"open at once; beyond it, new ones are closed"`
	PerClient   int           `yaml:"per_client" doc:"open at once of one client: an IPv4 address, or an IPv6 network of 64 bits"`
	Inspected   int           `yaml:"inspected" doc:"looked into at once; beyond it, cases.over_capacity decides about new ones"`
	Handshake   time.Duration `yaml:"handshake" doc:"from a client's connection to the end of the handshakes"`
	Idle        time.Duration `yaml:"idle" doc:"how long a connection may be silent"`
}

type holdConfig struct {
	Bytes config.Size   `yaml:"bytes" doc:"most that is held back of a direction while detection decides"`
	Time  time.Duration `yaml:"time" doc:"longest that it is held back"`
	Open  bool          `yaml:"open" doc:"at a limit forward what is held; else end the connection"`
}

func (l gatewayLimits) admission() admission.Limits {
	return admission.Limits{Conns: l.Connections, PerClient: l.PerClient, Inspected: l.Inspected, Greetings: admission.Default.Greetings}
}

func defaultGatewayConfig() *gatewayConfig {
	return &gatewayConfig{
		Trust:  trustConfig{System: true, Complete: true, Revocation: origin.Soft},
		Limits: gatewayLimits{admission.Default.Conns, admission.Default.PerClient, admission.Default.Inspected, gateway.DefaultHandshake, gateway.DefaultIdle},
		Hold:   holdConfig{config.Size(gateway.DefaultHold.Bytes), gateway.DefaultHold.Time, gateway.DefaultHold.Open},
		Pins:   defaultPins(),
	}
}

// Validate checks what no part checks by itself.
func (c *gatewayConfig) Validate() error {
	switch {
	case c.Listen.Connect == "" && c.Listen.SOCKS5 == "" && c.Listen.Transparent == 0:
		return errors.New("listen.connect, listen.socks5 or listen.transparent is needed: nobody could connect")
	case len(c.Authorities) == 0:
		return errors.New("authorities must have one at least; \"vitrine-agent gateway trial-ca\" makes one")
	case !c.Trust.System && len(c.Trust.Roots) == 0:
		return errors.New("trust.system or trust.roots is needed: no server would be trusted")
	case !slices.Contains(origin.Revocations, c.Trust.Revocation):
		return fmt.Errorf("trust.revocation is %q: want one of %q", c.Trust.Revocation, origin.Revocations)
	case c.Limits.admission().Validate() != nil || c.Limits.Handshake <= 0 || c.Limits.Idle <= 0 || c.Hold.Bytes < 1 || c.Hold.Time <= 0:
	case !slices.Contains(origin.Revocations, c.Trust.Revocation):
		return fmt.Errorf("trust.revocation is %q: want one of %q", c.Trust.Revocation, origin.Revocations)
	case c.Limits.Connections < 1 || c.Limits.Handshake <= 0 || c.Limits.Idle <= 0 || c.Hold.Bytes < 1 || c.Hold.Time <= 0:
		return errors.New("limits and hold must be more than 0")
	}
	for _, a := range []string{c.Listen.Connect, c.Listen.SOCKS5} {
		if _, _, err := net.SplitHostPort(a); a != "" && err != nil {
			return fmt.Errorf("listen must be address:port: %w", err)
		}
	}
	return c.Pins.validate()
}

// gatewayParts are what a configuration names, read and checked.
type gatewayParts struct {
	authorities []*authority.Authority
	mints       map[string]*authority.Mint // by name, and the first by the empty one too
	rules       *policy.Table
	users       *front.Users // nil: everybody
	pins        *pin.Table
	learnt      string // the file that keeps them, if there is one
	roots       *x509.CertPool
	allow       []netip.Prefix
}

// open reads all that the configuration in the file names.
func (c *gatewayConfig) open(file string, now time.Time) (*gatewayParts, error) {
	dir := filepath.Dir(file)
	p := &gatewayParts{mints: map[string]*authority.Mint{}}
	var err error
	if p.rules, err = policy.Compile(c.Rules); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	for _, a := range c.Authorities {
		if err := p.addAuthority(a, dir, now); err != nil {
			return nil, err
		}
	}
	for _, name := range p.rules.Authorities() {
		if p.mints[name] == nil {
			return nil, fmt.Errorf("rules: there is no authority %q", name)
		}
	}
	if c.Users != "" {
		if p.users, err = readUsers(beside(dir, c.Users)); err != nil {
			return nil, err
		}
	}
	for _, text := range c.Allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("allow: %q is no CIDR: %w", text, err)
		}
		p.allow = append(p.allow, prefix.Masked())
	}
	p.learnt = beside(dir, c.Pins.Learnt)
	if p.pins, err = openPins(c.Pins, p.learnt, now); err != nil {
		return nil, err
	}
	p.roots, err = c.Trust.open(dir)
	return p, err
}

func (p *gatewayParts) addAuthority(c authorityConfig, dir string, now time.Time) error {
	f := authority.Files{Certificate: beside(dir, c.Certificate), Key: beside(dir, c.Key), Passphrase: beside(dir, c.Passphrase)}
	a, err := authority.Load(f, now)
	if err != nil {
		return err
	}
	mint, err := authority.NewMint(a, authority.DefaultCache, now)
	if err != nil {
		return err
	}
	if len(p.authorities) == 0 {
		p.mints[""] = mint
	}
	if c.Name != "" {
		if p.mints[c.Name] != nil {
			return fmt.Errorf("authority %q is there twice", c.Name)
		}
		p.mints[c.Name] = mint
	}
	p.authorities = append(p.authorities, a)
	return nil
}

// beside returns the path of a file that a configuration in the folder names.
func beside(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// maxNamed bounds the files that a configuration names.
const maxNamed = 4 << 20

func readNamed(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxNamed+1))
	if err == nil && len(b) > maxNamed {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxNamed)
	}
	return b, err
}

func readUsers(path string) (*front.Users, error) {
	text, err := readNamed(path)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	u, err := front.ParseUsers(text)
	if err != nil {
		return nil, fmt.Errorf("users %s: %w", path, err)
	}
	return u, nil
}

// open returns who may vouch for servers.
func (c *trustConfig) open(dir string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if c.System {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("read the roots of this machine: %w", err)
		}
	}
	for _, file := range c.Roots {
		text, err := readNamed(beside(dir, file))
		if err != nil {
			return nil, fmt.Errorf("read trust.roots: %w", err)
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("trust.roots: no certificate in %s", file)
		}
	}
	return pool, nil
}

// listen opens the front ends.
func (c *gatewayConfig) listen(ctx context.Context, users *front.Users) (all []gateway.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range all {
				l.Close()
			}
			all, err = nil, fmt.Errorf("listen for clients: %w", err)
		}
	}()
	for _, l := range []struct {
		address string
		front   front.Front
	}{{c.Listen.Connect, front.Connect(users)}, {c.Listen.SOCKS5, front.SOCKS5(users)}} {
		if l.address == "" {
			continue
		}
		listener, err := net.Listen("tcp", l.address)
		if err != nil {
			return all, err
		}
		all = append(all, gateway.Listener{Listener: listener, Front: l.front})
	}
	if c.Listen.Transparent == 0 {
		return all, nil
	}
	diverted, err := divert.Listen(ctx, c.Listen.Transparent)
	for _, l := range diverted {
		all = append(all, gateway.Listener{Listener: l, Front: front.Transparent(!c.Listen.OwnSource)})
	}
	return all, err
}

// divert has the kernel hand over what the rules are about. What is bypassed by its address alone never comes, unless a name could still block it.
func (c *gatewayConfig) divert(d *divert.Diverter) error {
	if d == nil {
		return nil
	}
	var scopes []divert.Scope
	for _, p := range c.Rules.Policies {
		for _, s := range p.Scopes {
			s = s.Complete()
			scope := divert.Scope{Sources: prefixes(s.Sources), Destinations: prefixes(s.Destinations), SourcePorts: ports(s.SourcePorts), DestinationPorts: ports(s.DestinationPorts), RefuseQUIC: !s.AllowQUIC}
			if !p.Disabled {
				scopes = append(scopes, scope)
			}
		}
	}
	var exempt []netip.Prefix
	for _, e := range c.Rules.Bypass {
		if len(c.Rules.Block) == 0 {
			exempt = append(exempt, prefixes(e.Addresses)...)
		}
	}
	return d.Apply(scopes, exempt)
}

func prefixes(list []policy.Addresses) (out []netip.Prefix) {
	for _, a := range list {
		out = append(out, a.Prefix)
	}
	return out
}

func ports(list []policy.Ports) (out []divert.Ports) {
	for _, p := range list {
		out = append(out, divert.Ports(p))
	}
	return out
}

func (c *gatewayConfig) gateway(p *gatewayParts, listeners []gateway.Listener, log *slog.Logger) gateway.Config {
	guard := &origin.Guard{Allow: p.allow}
	judge := origin.NewOnline(p.roots, origin.Online{Guard: guard, Complete: c.Trust.Complete, Revocation: c.Trust.Revocation}, log)
	return gateway.Config{
		Listeners: listeners, Rules: p.rules, Mints: p.mints, Judge: judge, Guard: guard, Pins: p.pins,
		Hold:   gateway.Hold{Bytes: int(c.Hold.Bytes), Time: c.Hold.Time, Open: c.Hold.Open},
		Limits: c.Limits.admission(), Handshake: c.Limits.Handshake, Idle: c.Limits.Idle, Seed: flow.NewSeed(),
	}
}
