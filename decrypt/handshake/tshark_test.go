package handshake

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// TestFingerprintsAgreeWithTshark shows hellos to an outside judge.
func TestFingerprintsAgreeWithTshark(t *testing.T) {
	tshark := testkit.Need(t, "tshark")
	grease := chrome()
	plain := hello{version: TLS10, suites: []uint16{0x002f, 0x000a}}
	odd := hello{version: TLS12, suites: []uint16{0xc02f}, extensions: []extension{{0xff01, []byte{0}}, {extSupportedGroups, u16List(2, 0x1a1a, 23, 65535)}, serverName("x")}}
	var messages [][]byte
	var want []string
	for _, h := range []hello{grease, plain, odd} {
		messages = append(messages, append([]byte{1}, prefixed(3, h.body())...))
		want = append(want, parse(t, h.body()).JA3())
	}
	server := serverHello()
	messages = append(messages, append([]byte{2}, prefixed(3, server)...))
	var sh ServerHello
	if err := sh.Parse(server); err != nil {
		t.Fatal(err)
	}
	want = append(want, sh.JA3S())

	path := filepath.Join(t.TempDir(), "hellos.pcap")
	if err := os.WriteFile(path, pcapOf(messages), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-r", path, "-d", "tcp.port==443,tls", "-T", "fields", "-e", "tls.handshake.ja3", "-e", "tls.handshake.ja3s").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(out)); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("tshark has %v, this package %v", got, want)
	}
}

// serverHello is the body of an answer in TLS 1.3.
func serverHello() []byte {
	b := append([]byte{3, 3}, bytes.Repeat([]byte{5}, 32)...)
	b = append(b, 0, 0x13, 0x01, 0)
	return append(b, prefixed(2, []byte{0, 51, 0, 2, 1, 2, 0, 43, 0, 2, 3, 4})...)
}

func TestServerHello(t *testing.T) {
	var h ServerHello
	if err := h.Parse(serverHello()); err != nil || h.Version != TLS13 || h.LegacyVersion != TLS12 || h.CipherSuite != 0x1301 || h.Retry {
		t.Errorf("got %+v, %v", h, err)
	}
	retry := serverHello()
	copy(retry[2:], retryRandom[:])
	if err := h.Parse(retry); err != nil || !h.Retry {
		t.Errorf("retry: got %+v, %v", h, err)
	}
}

// pcapOf puts each message into a record, and that into a TCP segment of a connection of its own, on a raw IP link.
func pcapOf(messages [][]byte) []byte {
	file := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	file = append(file, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0)
	for i, m := range messages {
		payload := append([]byte{22, 3, 1}, prefixed(2, m)...)
		ports := []uint16{uint16(40000 + i), 443}
		if m[0] == byte(TypeServerHello) {
			ports[0], ports[1] = ports[1], ports[0]
		}
		tcp := appendU16s(nil, ports)
		tcp = append(tcp, 0, 0, 0, 1, 0, 0, 0, 1, 5<<4, 0x18, 0xff, 0xff, 0, 0, 0, 0)
		ip := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}
		packet := append(append(ip, tcp...), payload...)
		binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
		header := make([]byte, 16)
		binary.LittleEndian.PutUint32(header[8:], uint32(len(packet)))
		binary.LittleEndian.PutUint32(header[12:], uint32(len(packet)))
		file = append(append(file, header...), packet...)
	}
	return file
}
