package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
)

// External is a NATS cluster, and how this program proves who it is. A file that is named but can't be used is an error.
type External struct {
	URL         string // tls://host:4222, several separated by commas
	CA          string // PEM file of the authorities that may vouch for the cluster; the system's if empty
	Certificate string // PEM file of this program's certificate, with Key
	Key         string
	Credentials string // NATS credentials file
	Replicas    int    // copies of the stream, 3 for a cluster that survives the loss of a server
}

func (e External) options() ([]nats.Option, error) {
	var out []nats.Option
	if e.Credentials != "" {
		if _, err := os.Stat(e.Credentials); err != nil {
			return nil, fmt.Errorf("read bus credentials: %w", err)
		}
		out = append(out, nats.UserCredentials(e.Credentials))
	}
	if e.CA == "" && e.Certificate == "" && e.Key == "" {
		return out, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.CA != "" {
		pem, err := os.ReadFile(e.CA)
		if err != nil {
			return nil, fmt.Errorf("read bus authorities: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read bus authorities: no certificate in %s", e.CA)
		}
	}
	if (e.Certificate == "") != (e.Key == "") {
		return nil, errors.New("read bus certificate: certificate and key must be given together")
	}
	if e.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(e.Certificate, e.Key)
		if err != nil {
			return nil, fmt.Errorf("read bus certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return append(out, nats.Secure(cfg)), nil
}
