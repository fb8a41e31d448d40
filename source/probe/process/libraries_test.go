package process

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// makeTree makes a root directory: names ending in / are folders, names with a target are links, the rest are files.
func makeTree(t *testing.T, entries map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range entries {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := link(content); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func link(content string) (target string, ok bool) {
	if len(content) > 3 && content[:3] == "-> " {
		return content[3:], true
	}
	return "", false
}

func paths(files []File) (all []string) {
	for _, f := range files {
		all = append(all, f.Path)
	}
	slices.Sort(all)
	return all
}

func TestLibraries(t *testing.T) {
	outside := makeTree(t, map[string]string{"libssl.so.9": "not to be found"})
	for _, tc := range []struct {
		name string
		tree map[string]string
		want []string
	}{
		{"nothing", nil, nil},
		{"merged /usr, several names for one file", map[string]string{
			"lib": "-> usr/lib", "lib64": "-> /usr/lib", "usr/lib/x86_64-linux-gnu/libssl.so.3": "x", "usr/lib/x86_64-linux-gnu/libssl.so": "-> libssl.so.3",
			"usr/lib/x86_64-linux-gnu/libz.so.1": "x", "usr/lib/x86_64-linux-gnu/libgnutls.so.30": "-> libgnutls.so.30.34.3",
			"usr/lib/x86_64-linux-gnu/libgnutls.so.30.34.3": "x", "usr/lib/x86_64-linux-gnu/libnspr4.so": "x",
		}, []string{"/usr/lib/x86_64-linux-gnu/libgnutls.so.30.34.3", "/usr/lib/x86_64-linux-gnu/libnspr4.so", "/usr/lib/x86_64-linux-gnu/libssl.so.3"}},
		{"other distributions", map[string]string{
			"lib/libssl.so.3": "musl", "usr/lib64/libssl.so.1.1": "x", "usr/local/lib64/libssl.so.3": "x", "opt/app/lib/libboringssl.so": "x", "usr/local/ssl/lib/libssl.so.1.0.0": "x",
		}, []string{"/lib/libssl.so.3", "/opt/app/lib/libboringssl.so", "/usr/lib64/libssl.so.1.1", "/usr/local/lib64/libssl.so.3", "/usr/local/ssl/lib/libssl.so.1.0.0"}},
		{"loader's configuration", map[string]string{
			"etc/ld.so.conf": "include ld.so.conf.d/*.conf\n/a/b # here\n", "etc/ld.so.conf.d/x.conf": "/c\n/d=libc6\ninclude /etc/ld.so.conf\n",
			"etc/ld-musl-x86_64.path": "/e:/f\n/g", "a/b/libssl.so.1": "x", "c/libssl.so.1": "x", "d/libssl.so.1": "x", "f/libssl.so.1": "x", "g/libssl.so.1": "x", "h/libssl.so.1": "x",
		}, []string{"/a/b/libssl.so.1", "/c/libssl.so.1", "/d/libssl.so.1", "/f/libssl.so.1", "/g/libssl.so.1"}},
		{"links that lead out", map[string]string{
			"lib": "-> " + outside, "usr/lib": "-> ../../../../../../../../../../../../" + outside, "usr/lib64/libssl.so.1": "-> " + outside + "/libssl.so.9",
			"usr/lib64/libssl.so.2": "-> ../../../../../../../../../../" + outside + "/libssl.so.9", "usr/lib64/libssl.so.3": "-> libssl.so.3", "usr/lib64/libssl.so.4": "-> /",
			"etc/ld.so.conf": outside + "\n/../../../../../../../../../" + outside + "\n",
		}, nil},
		{"links stay in the root", map[string]string{
			"usr/lib/libssl.so": "-> ../../../../../../../../real/libssl.so.3", "usr/lib64": "-> /other", "other/libgnutls.so.30": "x", "real/libssl.so.3": "x",
		}, []string{"/other/libgnutls.so.30", "/real/libssl.so.3"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Libraries(makeTree(t, tc.tree))
			if diff := cmp.Diff(tc.want, paths(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, f := range got {
				opened, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				opened.Close()
			}
		})
	}
}

func TestLibrariesOfThisMachine(t *testing.T) {
	testkit.Need(t, "openssl")
	own, other := Libraries("/"), Libraries("/proc/self/root")
	if len(own) == 0 || !cmp.Equal(paths(own), paths(other)) {
		t.Errorf("found %v, and %v below /proc/self/root", paths(own), paths(other))
	}
}
