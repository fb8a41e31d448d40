package main_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/capture"
)

// manyConnections is more than may wait for a key after their end.
const manyConnections = 4200

// repeated returns a capture of the connection of a case, many times, and then the secrets, unless nil.
func repeated(t testing.TB, name string, secrets []byte) []byte {
	t.Helper()
	const serverPort, ports = 18443, 14 + 20 // behind Ethernet and IPv4
	f, err := capture.OpenFile(filepath.Join("../../testdata/cases", name, "traffic.pcapng"), capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var packets []capture.Packet
	for {
		var p capture.Packet
		if err := f.Read(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p.Data = slices.Clone(p.Data)
		packets = append(packets, p)
	}
	var out bytes.Buffer
	w := capture.NewWriter(&out, "test")
	for i := range manyConnections {
		for _, p := range packets {
			client := p.Data[ports:]
			if binary.BigEndian.Uint16(client) == serverPort {
				client = client[2:]
			}
			binary.BigEndian.PutUint16(client, uint16(20_000+i))
			if err := w.Packet(&p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if secrets != nil {
		w.Secrets(capture.TLSKeyLog, secrets)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestSecretsAnywhere has the secrets behind all that they open, however much that is.
func TestSecretsAnywhere(t *testing.T) {
	const name = "tls13-http1"
	keys, err := os.ReadFile(filepath.Join("../../testdata/cases", name, "keys.log"))
	if err != nil {
		t.Fatal(err)
	}
	var alone, zipped bytes.Buffer
	w := capture.NewWriter(&alone, "test")
	w.Secrets(capture.TLSKeyLog, keys)
	z := gzip.NewWriter(&zipped)
	_, wrote := z.Write(repeated(t, name, keys))
	if err := errors.Join(w.Flush(), wrote, z.Close()); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][][]byte{
		"at the end":         {repeated(t, name, keys)},
		"at the end of gzip": {zipped.Bytes()},
		"in the next file":   {repeated(t, name, nil), alone.Bytes()},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"replay", "-o", "none", "--stats"}
			dir := t.TempDir()
			for i, b := range files {
				path := filepath.Join(dir, fmt.Sprint(i))
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, path)
			}
			r := runVitrine(t, nil, args...)
			want := fmt.Sprintf("%-28s %d\n", "connections decrypted", manyConnections)
			if r.status != 0 || !strings.Contains(r.stderr, want) {
				t.Errorf("status %d\n%s", r.status, r.stderr)
			}
		})
	}
}
