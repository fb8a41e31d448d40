package main_test

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/server/api"
)

// TestTokens makes a token on the machine of the server, uses it as another machine would, and revokes it.
func TestTokens(t *testing.T) {
	up := startUp(t, t.TempDir())
	t.Setenv("VITRINE_DATA", up.dir)
	made := runVitrine(t, nil, "token", "create", "--name", "laptop", "--role", "analyst", "--expires", "1h")
	secret := strings.TrimSuffix(made.stdout, "\n")
	if made.status != 0 || !strings.HasPrefix(secret, "vitrine_") || strings.ContainsAny(secret, " \n") || strings.Contains(made.stderr, secret) ||
		!strings.Contains(made.stderr, "role analyst") || !strings.Contains(made.stderr, "expires ") {
		t.Fatalf("create: %+v", made)
	}
	if again := runVitrine(t, nil, "token", "create", "--name", "laptop"); again.status != 1 || !strings.Contains(again.stderr, "Choose another name") {
		t.Errorf("a name that is taken: %+v", again)
	}
	listed := listTokens(t)
	if len(listed) != 2 || listed["laptop"].Role != "analyst" || listed["laptop"].Expires == nil || listed["local command line"].Expires != nil {
		t.Errorf("listed %+v", listed)
	}

	certificate := publicCertificate(t, up.dir)
	t.Setenv("VITRINE_SERVER", up.url)
	t.Setenv("VITRINE_TOKEN", secret)
	if r := runVitrine(t, nil, "search", "--ca", certificate, "kind:http"); r.status != 0 {
		t.Errorf("search with the token: %+v", r)
	}
	if r := runVitrine(t, nil, "token", "create", "--ca", certificate, "--name", "more", "--role", "admin", "--expires", "1m"); r.status != 1 || !strings.Contains(r.stderr, "at most what its maker may") {
		t.Errorf("a token that may more than its maker: %+v", r)
	}
	table := runVitrine(t, nil, "token", "list", "--ca", certificate)
	if lines := strings.Split(table.stdout, "\n"); table.status != 0 || len(lines) != 3 || !strings.HasPrefix(lines[0], "ID ") || !strings.Contains(lines[1], "  laptop  analyst  ") {
		t.Errorf("the list for a token has itself only: %+v", table)
	}
	if r := runVitrine(t, nil, "token", "revoke", "--ca", certificate, listed["laptop"].ID); r.status != 0 || r.stdout != "" {
		t.Errorf("revoke: %+v", r)
	}
	if r := runVitrine(t, nil, "search", "--ca", certificate, "kind:http"); r.status != 1 || !strings.Contains(r.stderr, "no longer valid") {
		t.Errorf("search with a revoked token: %+v", r)
	}
	t.Setenv("VITRINE_SERVER", "")
	t.Setenv("VITRINE_TOKEN", "")
	if r := runVitrine(t, nil, "token", "revoke", listed["laptop"].ID); r.status != 1 || !strings.Contains(r.stderr, "no token with this id") {
		t.Errorf("revoke twice: %+v", r)
	}
	if r := runVitrine(t, nil, "token", "create", "--name", "two words"); r.status != 2 || !strings.Contains(r.stderr, "name: ") {
		t.Errorf("a name that the server refuses: %+v", r)
	}
	up.stop(t)
}

// listTokens returns what vitrine token list prints, by name.
func listTokens(t *testing.T) map[string]api.Token {
	t.Helper()
	r := runVitrine(t, nil, "token", "list", "-o", "json")
	if r.status != 0 {
		t.Fatalf("list: %+v", r)
	}
	tokens := map[string]api.Token{}
	for line := range strings.Lines(r.stdout) {
		var token api.Token
		if err := json.Unmarshal([]byte(line), &token); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		tokens[token.Name] = token
	}
	return tokens
}

// publicCertificate writes the console's certificate to a file of its own, without the key.
func publicCertificate(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "console.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		t.Fatalf("no certificate in %d bytes", len(text))
	}
	path := filepath.Join(t.TempDir(), "vitrine.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTokenUsage(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"no name", []string{"create"}, "--name is missing"},
		{"an unknown role", []string{"create", "--name", "a", "--role", "root"}, `unknown role "root"`},
		{"no time", []string{"create", "--name", "a", "--expires", "0s"}, "--expires must be more than 0"},
		{"time without a unit", []string{"create", "--name", "a", "--expires", "30"}, "--expires"},
		{"an unknown format", []string{"list", "-o", "xml"}, `unknown output format "xml"`},
		{"no id", []string{"revoke"}, "accepts 1 arg"},
		{"an unknown command", []string{"delete"}, `unknown command "delete"`},
	} {
		r := runVitrine(t, nil, append([]string{"token"}, tc.args...)...)
		if r.status != 2 || r.stdout != "" || !strings.Contains(r.stderr, tc.want) || !strings.Contains(r.stderr, "\nvitrine: see") && !strings.Contains(r.stderr, "\nsee vitrine token") {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
}
