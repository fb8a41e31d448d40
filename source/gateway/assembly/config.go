// Package assembly puts a gateway together from what people configure: where clients connect, whom servers may have their certificates
// of, limits. Files and settings come in; a gateway that runs goes out, and takes rules and authorities at any time. It knows nothing of
// where those come from.
package assembly

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/config"
	"github.com/vitrine-ndr/vitrine/source/gateway"
	"github.com/vitrine-ndr/vitrine/source/gateway/admission"
	"github.com/vitrine-ndr/vitrine/source/gateway/identity"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
)

// Config is what stays the same while a gateway runs.
type Config struct {
	Listen Listen   `yaml:"listen"`
	Users  string   `yaml:"users" doc:"file of those who may use the gateway, in the form of \"htpasswd -B\"; everybody if empty"`
	Trust  Trust    `yaml:"trust"`
	Allow  []string `yaml:"allow" doc:"CIDRs that may be connected to though they are of this machine, of the link or of metadata services"`
	Limits Limits   `yaml:"limits"`
	Hold   Hold     `yaml:"hold"`
	Pins   Pins     `yaml:"pins"`
	// Identities are the gateway's own.
	Identities []identity.Config `yaml:"identities"`
	ECH        ECH               `yaml:"ech"`
}

// Listen is where clients connect.
type Listen struct {
	Connect string `yaml:"connect" flag:"connect" doc:"address and port for HTTP CONNECT"`
	SOCKS5  string `yaml:"socks5" flag:"socks5" doc:"address and port for SOCKS5"`
	// Transparent is for connections that are routed through this machine.
	Transparent uint16 `yaml:"transparent" doc:"port that the kernel diverts the connections of scopes to; 0: none"`
	OwnSource   bool   `yaml:"own_source" doc:"of diverted connections, servers see this machine's address, not the client's"`
}

// Trust says whom servers may have their certificates of.
type Trust struct {
	System bool     `yaml:"system" doc:"trust servers that this machine trusts"`
	Roots  []string `yaml:"roots" doc:"PEM files of further authorities that servers may have their certificates of"`
	// Complete and Revocation have the gateway connect to where certificates point.
	Complete   bool              `yaml:"complete" doc:"fetch intermediate certificates that servers do not send"`
	Revocation origin.Revocation `yaml:"revocation" doc:"off; stapled: by what servers bring; soft: by OCSP and revocation lists too, good if those do not answer; hard: bad then"`
}

// Limits bound what clients may take.
type Limits struct {
	Connections int           `yaml:"connections" doc:"open at once; beyond it, new ones are closed"`
	PerClient   int           `yaml:"per_client" doc:"open at once of one client: an IPv4 address, or an IPv6 network of 64 bits"`
	Inspected   int           `yaml:"inspected" doc:"looked into at once; beyond it, cases.over_capacity decides about new ones"`
	Handshake   time.Duration `yaml:"handshake" doc:"from a client's connection to the end of the handshakes"`
	Idle        time.Duration `yaml:"idle" doc:"how long a connection may be silent"`
}

// Hold bounds what detection may have the gateway keep.
type Hold struct {
	Bytes config.Size   `yaml:"bytes" doc:"most that is held back of a direction while detection decides"`
	Time  time.Duration `yaml:"time" doc:"longest that it is held back"`
	Open  bool          `yaml:"open" doc:"at a limit forward what is held; else end the connection"`
}

// ECH is about ClientHellos that are encrypted to the gateway.
type ECH struct {
	Keys []string `yaml:"keys" doc:"files of keys, as \"vitrine-agent gateway ech\" makes them: the one that clients are told of, and those before"`
}

func (l Limits) admission() admission.Limits {
	return admission.Limits{Conns: l.Connections, PerClient: l.PerClient, Inspected: l.Inspected, Greetings: admission.Default.Greetings}
}

// Default returns a Config that lacks only where to listen.
func Default() Config {
	return Config{
		Trust:  Trust{System: true, Complete: true, Revocation: origin.Soft},
		Limits: Limits{admission.Default.Conns, admission.Default.PerClient, admission.Default.Inspected, gateway.DefaultHandshake, gateway.DefaultIdle},
		Hold:   Hold{config.Size(gateway.DefaultHold.Bytes), gateway.DefaultHold.Time, gateway.DefaultHold.Open},
		Pins:   defaultPins(),
	}
}

// Validate checks what no part checks by itself.
func (c *Config) Validate() error {
	switch {
	case c.Listen.Connect == "" && c.Listen.SOCKS5 == "" && c.Listen.Transparent == 0:
		return errors.New("listen.connect, listen.socks5 or listen.transparent is needed: nobody could connect")
	case !c.Trust.System && len(c.Trust.Roots) == 0:
		return errors.New("trust.system or trust.roots is needed: no server would be trusted")
	case !slices.Contains(origin.Revocations, c.Trust.Revocation):
		return fmt.Errorf("trust.revocation is %q: want one of %q", c.Trust.Revocation, origin.Revocations)
	case c.Limits.admission().Validate() != nil || c.Limits.Handshake <= 0 || c.Limits.Idle <= 0 || c.Hold.Bytes < 1 || c.Hold.Time <= 0:
		return errors.New("limits and hold must be more than 0")
	}
	for _, a := range []string{c.Listen.Connect, c.Listen.SOCKS5} {
		if _, _, err := net.SplitHostPort(a); a != "" && err != nil {
			return fmt.Errorf("listen must be address:port: %w", err)
		}
	}
	return c.Pins.validate()
}
