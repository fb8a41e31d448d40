package hooks

import (
	"context"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/debian"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// releaseRoot returns a folder with packages of a release, and all that they depend on.
func releaseRoot(t *testing.T, release string, packages ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	r, err := debian.Open(ctx, "../../../.cache/debian", release)
	var root string
	if err == nil {
		root, err = r.Root(ctx, packages...)
	}
	if errors.Is(err, debian.ErrUnreachable) {
		testkit.Skip(t, "no packages of %s: %v", release, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "usr/lib/x86_64-linux-gnu")
}

func findIn(t testing.TB, path string, opts Options) ([]Library, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return Find(f, info.Size(), opts)
}

// Functions that are the same in most versions, with a mark at those of which no instruction serves that the kernel emulates.
const (
	openSSLHooks = "free SSL_free, read_ex SSL_read/SSL_read_ex, read_ex SSL_read_early_data, window SSL_peek/SSL_peek_ex, " +
		"write_ex SSL_write_early_data, "
	gnuTLSHooks = "free gnutls_deinit, read gnutls_record_recv_early_data, read gnutls_record_recv_seq (slow), read_packet gnutls_record_recv_packet, " +
		"window gnutls_record_uncork, write gnutls_record_send2, write gnutls_record_send_early_data, write gnutls_record_send_range, "
)

// library is what should be found in a file: the library's name, the start of its version, its hooks or, if there should be none, why not.
type library struct {
	file, name, version, hooks string
	err                        error
	says                       string
}

// releases are what people run.
var releases = []struct {
	name      string
	packages  []string
	libraries []library
}{
	{"bionic", []string{"libssl1.0.0"}, []library{
		{file: "libssl.so.1.0.0", name: "openssl", version: "1.0.2n", hooks: "free SSL_free, read SSL_read, " +
			"window SSL_peek, write SSL_write (slow)"},
	}},
	{"bullseye", []string{"libssl1.1", "libgnutls30"}, []library{
		{file: "libssl.so.1.1", name: "openssl", version: "1.1.1", hooks: openSSLHooks + "write_ex SSL_write/SSL_write_ex"},
		{file: "libgnutls.so.30", name: "gnutls", version: "3.7", hooks: gnuTLSHooks + "read gnutls_record_recv"},
	}},
	{"bookworm", []string{"libssl3", "libgnutls30", "libnspr4", "libnss3", "libcurl4", "android-libboringssl", "libwolfssl35", "libmbedtls14"}, []library{
		{file: "libssl.so.3", name: "openssl", version: "3.0", hooks: openSSLHooks + "write_ex SSL_write/SSL_write_ex, sendfile SSL_sendfile"},
		{file: "libgnutls.so.30", name: "gnutls", version: "3.7", hooks: gnuTLSHooks + "read gnutls_record_recv (slow)"},
		{file: "libnspr4.so", name: "nspr", hooks: "nspr_free PR_Close (slow), nspr_read PR_Read (slow), nspr_recv PR_Recv (slow), " +
			"nspr_write PR_Send (slow), nspr_write PR_Write (slow), nspr_writev PR_Writev"},
		{file: "android/libssl.so.0", name: "boringssl", hooks: "free SSL_free, read SSL_read, window SSL_peek, " +
			"write SSL_write"},
		{file: "libcrypto.so.3", err: ErrNoTLS, says: "no TLS library"},
		{file: "libssl3.so", err: ErrNoTLS, says: "libnspr4"},
		{file: "libcurl.so.4", err: ErrNoTLS, says: "shared library"},
		{file: "libwolfssl.so.35", err: ErrUnknown, says: "wolfSSL"},
		{file: "libmbedtls.so.14", err: ErrUnknown, says: "Mbed TLS"},
	}},
	{"trixie", []string{"libssl3t64", "libgnutls30t64"}, []library{
		{file: "libssl.so.3", name: "openssl", version: "3.5", hooks: openSSLHooks + "write_ex2 SSL_write/SSL_write_ex2, sendfile SSL_sendfile"},
		{file: "libgnutls.so.30", name: "gnutls", version: "3.8", hooks: gnuTLSHooks + "read gnutls_record_recv (slow)"},
	}},
}

func TestReleases(t *testing.T) {
	t.Parallel()
	for _, release := range releases {
		t.Run(release.name, func(t *testing.T) {
			t.Parallel()
			root := releaseRoot(t, release.name, release.packages...)
			for _, want := range release.libraries {
				t.Run(want.file, func(t *testing.T) {
					want.check(t, filepath.Join(root, want.file))
					if want.name == "openssl" && want.version != "1.0.2n" {
						checkReturns(t, filepath.Join(root, want.file))
					}
				})
			}
		})
	}
}

func (want library) check(t *testing.T, path string) {
	t.Helper()
	got, err := findIn(t, path, Options{})
	if want.err != nil {
		if got != nil || !errors.Is(err, want.err) || !strings.Contains(err.Error(), want.says) {
			t.Errorf("found %v, %v; want %v with %q", got, err, want.err, want.says)
		}
		return
	}
	if err != nil || len(got) != 1 {
		t.Fatalf("%d libraries, %v", len(got), err)
	}
	if got[0].Name != want.name || !strings.HasPrefix(got[0].Version, want.version) {
		t.Errorf("%s, version %q; want %s, %q", got[0].Name, got[0].Version, want.name, want.version)
	}
	hooks := strings.Split(want.hooks, ", ")
	slices.Sort(hooks)
	if diff := cmp.Diff(hooks, describe(t, path, got[0].Hooks)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// describe checks that the hooks are where another reader of ELF files sees code, and says which they are.
func describe(t *testing.T, path string, hooks []Hook) (all []string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := f.Section(".text")
	code, err := text.Data()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hooks {
		line := string(h.Program) + " " + h.Symbol
		for i, at := range append([]uint64{h.Enter}, h.Exit...) {
			if at < text.Offset || at-text.Offset >= text.Size {
				t.Fatalf("%s is at %#x, outside the code", h.Symbol, at)
			}
			b := body{start: 0, code: code}
			in, ok := b.at(at - text.Offset)
			if !ok || in.Op == 0 {
				t.Fatalf("%s: no instruction at %#x", h.Symbol, at)
			}
			if i == 0 && !in.emulated() {
				line += " (slow)"
			}
		}
		if h.Trampoline != (h.Program.results()) {
			t.Errorf("%s: trampoline %t", h.Symbol, h.Trampoline)
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

// checkReturns looks at hooks without return probes.
func checkReturns(t *testing.T, path string) {
	t.Helper()
	libraries, err := findIn(t, path, Options{NoTrampolines: true})
	if err != nil || len(libraries) != 1 {
		t.Fatalf("%d libraries, %v", len(libraries), err)
	}
	code, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var programs []Program
	for _, h := range libraries[0].Hooks {
		programs = append(programs, h.Program)
		if h.Trampoline || h.Program.results() && len(h.Exit) == 0 {
			t.Errorf("%s: trampoline %t, exits %#x", h.Symbol, h.Trampoline, h.Exit)
		}
		for _, at := range h.Exit {
			if code[at] != 0xc3 {
				t.Errorf("%s: no ret at %#x", h.Symbol, at)
			}
		}
	}
	for _, p := range []Program{Read, ReadEx, Write, Free} {
		if !slices.Contains(programs, p) {
			t.Errorf("no hook for %s", p)
		}
	}
}
