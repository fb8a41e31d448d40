package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

func FuzzParseStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own, "cat")
	f.Add([]byte("1 (a) S"), ") S 1 2 3")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		_, _ = parseStat(text)
		real := fmt.Sprintf("10 (%s) S 1 10 10 0 -1 4194304 99 0 0 0 0 0 0 0 20 0 1 0 1249038 3133440 390 1\n", name)
		if s, err := parseStat([]byte(real)); err != nil || s.start != 1249038 || s.flags != 4194304 {
			t.Errorf("a process of the name %q: %+v, %v", name, s, err)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("Name:\tUid:\\n\nUid:\t1\t2\t3\t4\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if uid := parseStatus(append(bytes.Clone(text), "\nUid:\t1\t2\t3\t4\n"...)); uid != 2 {
			t.Errorf("got %d", uid)
		}
	})
}

func FuzzParseCgroups(f *testing.F) {
	f.Add("0::/system.slice/docker-" + id1 + ".scope\n")
	f.Add("9:name=systemd:/kubepods/besteffort/pod" + uid + "/" + id1 + "\n0::/\n")
	f.Add("0::/machine.slice/machine-a\\x2db.scope/payload\n")
	f.Fuzz(func(t *testing.T, text string) {
		p := parseCgroups([]byte(text))
		if p.pod != "" && !isPodUID(p.pod) || strings.ContainsAny(p.container, "/\n") {
			t.Errorf("got %+q", p)
		}
	})
}

func FuzzParseMounts(f *testing.F) {
	own, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("1 2 8:1 /docker/containers/" + id1 + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p := parseMounts(text); p.container != "" && !isID(p.container) || p.pod != "" && !isPodUID(p.pod) {
			t.Errorf("got %+q", p)
		}
	})
}

func FuzzParseMaps(f *testing.F) {
	own, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("7f020000-7f030000 rwxs 00000000 00:01 7 /memfd:jit (deleted)\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		mappings, _ := parseMaps(bytes.NewReader(text))
		for _, m := range mappings {
			if !m.code || m.id.Inode == 0 || !strings.HasPrefix(m.path, "/") || strings.Contains(m.span, " ") {
				t.Errorf("got %+v", m)
			}
		}
	})
}

func FuzzParseSockets(f *testing.F) {
	own, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("  0: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1504 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = parseSockets(bytes.NewReader(text), nil, func(s socketRow) bool {
			if !s.Local.IP.IsValid() || !s.Remote.IP.IsValid() || s.Local.IP.Is4In6() {
				t.Errorf("got %+v", s)
			}
			return true
		})
	})
}

// FuzzLoaderConfiguration searches for libraries where a container has written its own configuration.
func FuzzLoaderConfiguration(f *testing.F) {
	f.Add("include /etc/*.conf\n/opt/../..//lib # x\n", "/a:b\n/c")
	f.Fuzz(func(t *testing.T, conf, musl string) {
		root := t.TempDir()
		for name, text := range map[string]string{"ld.so.conf": conf, "ld-musl-x.path": musl} {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(".", filepath.Join(root, "etc")); err != nil {
			t.Fatal(err)
		}
		folders := tree{root}.libraryFolders()
		for _, folder := range folders {
			if !strings.HasPrefix(folder, "/") || folder != filepath.Clean(folder) {
				t.Errorf("got %q", folder)
			}
		}
		if len(folders) > maxFolders {
			t.Errorf("%d folders", len(folders))
		}
	})
}

func TestLinearTime(t *testing.T) {
	for name, tc := range map[string]struct {
		line func(i int) string
		read func(text string)
	}{
		"maps": {func(i int) string { return fmt.Sprintf("%08x-%08x r-xp 00000000 fe:00 %d /a", i, i, i%999+1) }, func(text string) { _, _ = parseMaps(strings.NewReader(text)) }},
		"sockets": {func(i int) string {
			return fmt.Sprintf("%d: 0100007F:%04X 0100007F:0050 01 0 0 0 0 0 %d", i, i%65536, i)
		}, func(text string) {
			_ = parseSockets(strings.NewReader(text), nil, func(socketRow) bool { return true })
		}},
		"parts": {func(int) string { return "/docker-" }, func(text string) { _ = parseGroup(text) }},
	} {
		t.Run(name, func(t *testing.T) {
			const lines = 8_000
			var text strings.Builder
			var ends []int
			for i := range 2 * lines {
				fmt.Fprintln(&text, tc.line(i))
				ends = append(ends, text.Len())
			}
			testkit.Linear(t, lines, func(n int) { tc.read(text.String()[:ends[n-1]]) })
		})
	}
}
