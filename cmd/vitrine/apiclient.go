package main

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

// apiClient asks a Vitrine server.
type apiClient struct {
	http   *http.Client
	server string
	token  string
}

// newAPIClient finds the server: the one in VITRINE_SERVER, with VITRINE_TOKEN, or else the one that runs on this machine with a
// data folder that this user may read. ca names a PEM file of authorities, in place of the system's.
func newAPIClient(ca string) (*apiClient, error) {
	c := &apiClient{server: os.Getenv("VITRINE_SERVER"), token: os.Getenv("VITRINE_TOKEN")}
	if c.server == "" {
		dir, a, err := findAccess()
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

// findAccess looks for a running vitrine up: in the folder that is named by VITRINE_DATA, or where make run and an installation have it.
func findAccess() (dir string, a access, err error) {
	dirs := []string{"data", defaultData}
	if named := os.Getenv("VITRINE_DATA"); named != "" {
		dirs = []string{named}
	}
	for _, dir := range dirs {
		a, ok, err := loadAccess(dir)
		if ok || err != nil {
			return dir, a, err
		}
	}
	return "", a, fmt.Errorf("no running Vitrine found in %q: set VITRINE_DATA to its data folder, or VITRINE_SERVER and VITRINE_TOKEN", dirs)
}

// get asks for a path and reads the answer into out.
func (c *apiClient) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.call(ctx, http.MethodGet, path, query, nil, out)
}

// call sends a request, with in as its body unless it is nil, and reads the answer into out unless that is nil. An answer that is
// no success is a *problem.
func (c *apiClient) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
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

func (c *apiClient) read(resp *http.Response, out any) error {
	body := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		p := &problem{status: resp.StatusCode}
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

// problem is an answer by which the server refuses.
type problem struct {
	huma.ErrorModel
	status int
}

func (p *problem) Error() string { return p.Detail }
