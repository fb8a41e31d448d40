package debian_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/debian"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// open uses a cache of the test's own, so that the mirror is asked.
func open(t *testing.T, name string) (release *debian.Release, cache string) {
	t.Helper()
	cache = t.TempDir()
	release, err := debian.Open(t.Context(), cache, name)
	if errors.Is(err, debian.ErrUnreachable) {
		testkit.Skip(t, "no packages: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return release, cache
}

func TestRootHasWhatAPackageNeeds(t *testing.T) {
	t.Parallel()
	release, _ := open(t, "bullseye")
	root, err := release.Root(t.Context(), "openssl")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"usr/bin/openssl", "usr/lib/x86_64-linux-gnu/libssl.so.1.1", "lib/x86_64-linux-gnu/libc.so.6", "etc/passwd", "bin/sh"} {
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			t.Error(err)
		}
	}
	if again, err := release.Root(t.Context(), "openssl"); err != nil || again != root {
		t.Errorf("the second time: %q, %v; want %q", again, err, root)
	}
}

// TestListsAreVerified has apt read Debian's lists with a key that did not sign them.
func TestListsAreVerified(t *testing.T) {
	t.Parallel()
	_, cache := open(t, "bionic") // which makes Debian's release that has Ubuntu's keyring
	_, err := debian.OpenSigned(t.Context(), t.TempDir(), "bullseye", keyringOfUbuntu(t, cache))
	if !errors.Is(err, debian.ErrUnreachable) || !strings.Contains(err.Error(), "NO_PUBKEY") {
		t.Errorf("Debian's lists by Ubuntu's key: %v", err)
	}
}

func keyringOfUbuntu(t *testing.T, cache string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cache, "trixie/root-*/usr/share/keyrings/ubuntu-archive-keyring.gpg"))
	if err != nil || len(found) != 1 {
		t.Fatalf("Ubuntu's keyring is not there: %v, %v", found, err)
	}
	return found[0]
}
