package assembly_test

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/vitrine-ndr/vitrine/source/gateway/assembly"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority/token"
	"github.com/vitrine-ndr/vitrine/source/gateway/ech"
	"github.com/vitrine-ndr/vitrine/source/gateway/identity"
)

// identityOf is an identity of the files that pair writes.
func identityOf(name string) identity.Config {
	return identity.Config{Grant: grant(name), Certificate: name + ".pem", Key: token.Place(name + "-key.pem")}
}

// files writes one good file of each kind that a configuration names.
func files(t *testing.T, dir string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("horse"), bcrypt.MinCost)
	check(t, err)
	write(t, filepath.Join(dir, "users"), []byte("ann:"+string(hash)+"\n"))
	root, _ := certify(t, "Root", time.Now().Add(time.Hour), true)
	write(t, filepath.Join(dir, "root.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}))
	key, err := ech.NewKey("public.example")
	check(t, err)
	text, err := key.PEM()
	check(t, err)
	write(t, filepath.Join(dir, "ech.pem"), text)
	pair(t, dir, "client", time.Now().Add(time.Hour))
}

// naming is a configuration of the files, whose names place turns into paths.
func naming(place func(string) string) *assembly.Config {
	c := configured()
	c.Users, c.Trust.Roots, c.ECH.Keys, c.Allow = place("users"), []string{place("root.pem")}, []string{place("ech.pem")}, []string{"10.0.0.7/24"}
	i := identityOf("client")
	i.Certificate, i.Key = place(i.Certificate), token.Place(place(string(i.Key)))
	c.Identities = []identity.Config{i}
	return c
}

func TestFilesLieBesideTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	files(t, dir)
	t.Chdir(t.TempDir()) // where the program was started does not matter
	for name, c := range map[string]*assembly.Config{
		"relative": naming(func(name string) string { return name }),
		"absolute": naming(func(name string) string { return filepath.Join(dir, name) }),
	} {
		folder := dir
		if name == "absolute" {
			folder = t.TempDir()
		}
		parts, err := c.Read(folder)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if names := parts.ECH.Names(); len(names) != 1 || names[0] != "public.example" || len(parts.Identities.All) != 1 || parts.Identities.All[0].Subject() != "CN=client" {
			t.Errorf("%s: ech %q, identities %v", name, names, parts.Identities.All)
		}
	}
	if got := assembly.Beside(dir, ""); got != "" {
		t.Errorf("no file is %q", got)
	}
}

func TestBadFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	files(t, dir)
	write(t, filepath.Join(dir, "bad"), []byte("nothing of use\n"))
	huge, err := os.Create(filepath.Join(dir, "huge"))
	check(t, err)
	check(t, huge.Truncate(5<<20))
	check(t, huge.Close())
	for name, c := range map[string]struct {
		change func(*assembly.Config)
		want   []string
	}{
		"no users":              {func(c *assembly.Config) { c.Users = "gone" }, []string{"users", filepath.Join(dir, "gone")}},
		"bad users":             {func(c *assembly.Config) { c.Users = "bad" }, []string{"users", filepath.Join(dir, "bad")}},
		"huge users":            {func(c *assembly.Config) { c.Users = "huge" }, []string{"users", filepath.Join(dir, "huge"), "larger than"}},
		"bad allow":             {func(c *assembly.Config) { c.Allow = []string{"10.0.0.1"} }, []string{"allow", `"10.0.0.1"`}},
		"no root":               {func(c *assembly.Config) { c.Trust.Roots = []string{"gone"} }, []string{"trust.roots", filepath.Join(dir, "gone")}},
		"a root that is none":   {func(c *assembly.Config) { c.Trust.Roots = []string{"root.pem", "bad"} }, []string{"trust.roots", "bad"}},
		"no ECH key":            {func(c *assembly.Config) { c.ECH.Keys = []string{"gone"} }, []string{"ech.keys", filepath.Join(dir, "gone")}},
		"an ECH key that is no": {func(c *assembly.Config) { c.ECH.Keys = []string{"bad"} }, []string{"ech.keys", "bad"}},
		"no identity":           {func(c *assembly.Config) { c.Identities[0].Certificate = "gone" }, []string{`identity "client"`, filepath.Join(dir, "gone")}},
		"an identity's bad key": {func(c *assembly.Config) { c.Identities[0].Key = "bad" }, []string{`identity "client"`, filepath.Join(dir, "client.pem"), "no private key"}},
	} {
		t.Run(name, func(t *testing.T) {
			config := naming(func(name string) string { return name })
			c.change(config)
			parts, err := config.Read(dir)
			if err == nil {
				t.Fatalf("read as %+v", parts)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not name %q", err, part)
				}
			}
		})
	}
}

// TestUsersAreAskedFor has the front ends admit whom the file names, and nobody else.
func TestUsersAreAskedFor(t *testing.T) {
	dir := t.TempDir()
	files(t, dir)
	c := naming(func(name string) string { return name })
	a, err := open(t, c, dir)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, nil) }()
	places := a.Places()
	if len(places) != 1 || places[0].Kind != "connect" {
		t.Fatalf("clients may connect to %+v", places)
	}
	client, err := net.Dial("tcp", places[0].Address.String())
	check(t, err)
	defer client.Close()
	fmt.Fprint(client, "CONNECT x.example:443 HTTP/1.1\r\nHost: x.example:443\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(client), nil)
	check(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusProxyAuthRequired {
		t.Errorf("who is nobody gets %s", answer.Status)
	}
	cancel()
	check(t, <-done)
}
