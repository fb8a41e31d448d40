package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readSecrets returns what ReadSecrets finds in a file.
func readSecrets(t testing.TB, ctx context.Context, b []byte) (found []string, err error) {
	t.Helper()
	f, err := NewReader("test", bytes.NewReader(b), FileOptions{Secrets: func(kind uint32, b []byte) {
		if kind == TLSKeyLog {
			found = append(found, string(b))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return found, f.ReadSecrets(ctx)
}

func TestReadSecrets(t *testing.T) {
	for _, o := range []order{binary.LittleEndian, binary.BigEndian} {
		f := &ngFile{order: o}
		f.section().secret(TLSKeyLog, "early").iface(Ethernet, 0, "eth0", 0, 0)
		for range 3 * readSize / 1000 {
			f.packet(0, 1, 1000, bytesOf(1, 1000))
		}
		f.packet(7, 1, 40, bytesOf(2, 40)) // of no interface: for the packets' reader to complain about
		f.secret(TLSKeyLog, "late").section().simple(40, bytesOf(3, 40)).secret(TLSKeyLog, "of the next section")
		want := []string{"early", "late", "of the next section"}
		for name, b := range map[string][]byte{"plain": f.b, "gzip": gzipped(t, f.b), "zstd": zstded(t, f.b)} {
			found, err := readSecrets(t, t.Context(), b)
			if diff := cmp.Diff(want, found); err != nil || diff != "" {
				t.Errorf("%v, %s: error %v (-want +got)\n%s", o, name, err, diff)
			}
		}
		cut := f.b[:len(f.b)-1]
		if found, err := readSecrets(t, t.Context(), cut); len(found) != 2 || !isDamage(err) {
			t.Errorf("%v, cut: found %q, error %v", o, found, err)
		}
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if found, err := readSecrets(t, done, f.b); len(found) != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, cancelled: found %q, error %v", o, found, err)
		}
	}
}

func isDamage(err error) bool {
	_, ok := errors.AsType[*FormatError](err)
	return ok
}

// TestNoSecretsInPcap has a file that holds none: it is not read further than to its header.
func TestNoSecretsInPcap(t *testing.T) {
	in := long(1 << 20)["pcap"]
	f, err := NewReader("test", in, FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	left := in.left
	if err := f.ReadSecrets(t.Context()); err != nil || in.left != left {
		t.Errorf("read %d bytes, error %v", left-in.left, err)
	}
}

// FuzzReadSecrets reads hostile files both ways: what is found among the packets is found without them.
func FuzzReadSecrets(f *testing.F) {
	ng := &ngFile{order: binary.LittleEndian}
	ng.section().secret(TLSKeyLog, "early").iface(Ethernet, 40, "eth0", 9, 0).packet(0, 1, 10, bytesOf(1, 9)).secret(TLSKeyLog, "late")
	f.Add(ng.b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 || binary.LittleEndian.Uint32(b) != blockSection {
			return // compressed, a few bytes can stand for gigabytes
		}
		var among []string
		_, err := readBytes(t, b, func(kind uint32, b []byte) {
			if kind == TLSKeyLog {
				among = append(among, string(b))
			}
		})
		if err != nil && len(among) == 0 {
			return
		}
		alone, _ := readSecrets(t, t.Context(), b)
		if len(alone) < len(among) || !slices.Equal(alone[:len(among)], among) {
			t.Fatalf("%q alone, %q among packets", alone, among)
		}
	})
}

func BenchmarkReadSecrets(b *testing.B) {
	file, err := io.ReadAll(long(100_000)["pcapng"])
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := readSecrets(b, b.Context(), file); err != nil {
			b.Fatal(err)
		}
	}
}
