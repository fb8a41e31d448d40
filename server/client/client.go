// Package client asks a Vitrine server as the command line does: requests go in, answers come out, and refusals as what the server said
// of them. It knows how to find the server that runs on the same machine, and nothing of what is asked.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

const (
	requestTime = 2 * time.Minute
	maxAnswer   = 256 << 20
)

// Client asks a Vitrine server.
type Client struct {
	http   *http.Client
	server string
	token  string
}

// New finds the server: the one in VITRINE_SERVER, with VITRINE_TOKEN, or else the one that runs on this machine with a
// data folder among these that this user may read. ca names a PEM file of authorities, in place of the system's.
func New(ca string, folders ...string) (*Client, error) {
	c := &Client{server: os.Getenv("VITRINE_SERVER"), token: os.Getenv("VITRINE_TOKEN")}
	if c.server == "" {
		dir, a, err := findAccess(folders)
		if err != nil {
			return nil, err
		}
		c.server = a.Server
		if c.token == "" {
			c.token = a.Token
		}
		if ca == "" {
			ca = filepath.Join(dir, "console.pem")
		}
	}
	if c.token == "" {
		return nil, errors.New("VITRINE_TOKEN is missing: set it to an API token of " + c.server)
	}
	if !strings.HasPrefix(c.server, "https://") {
		return nil, fmt.Errorf("VITRINE_SERVER is %q and must begin with https://", c.server)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if ca != "" {
		pool, err := readAuthorities(ca)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	c.http = &http.Client{Transport: transport, Timeout: requestTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read certificate: there is none in %s", path)
	}
	return pool, nil
}

// findAccess looks for a running vitrine up in data folders.
func findAccess(folders []string) (dir string, a Access, err error) {
	for _, dir := range folders {
		a, ok, err := loadAccess(dir)
		if ok || err != nil {
			return dir, a, err
		}
	}
	return "", a, fmt.Errorf("no running Vitrine found in %q: set VITRINE_DATA to its data folder, or VITRINE_SERVER and VITRINE_TOKEN", folders)
}

// Get asks for a path and reads the answer into out.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	return c.Call(ctx, http.MethodGet, path, query, nil, out)
}

// Call sends a request, with in as its body unless it is nil, and reads the answer into out unless that is nil. An answer that is
// no success is a *Problem.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var payload io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.server+path+"?"+query.Encode(), payload)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.server, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.server, errors.Unwrap(err)) // without the URL, which has the search
	}
	defer resp.Body.Close()
	return c.read(resp, out)
}

func (c *Client) read(resp *http.Response, out any) error {
	body := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		p := &Problem{Status: resp.StatusCode}
		if err := json.NewDecoder(body).Decode(&p.ErrorModel); err != nil {
			p.Detail = resp.Status
		}
		return p
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("read answer of %s: %w", c.server, err)
	}
	return nil
}

// Problem is an answer by which the server refuses.
type Problem struct {
	huma.ErrorModel
	Status int
}

func (p *Problem) Error() string { return p.Detail }
