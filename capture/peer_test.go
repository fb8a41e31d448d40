package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// convert writes a file and runs one of Wireshark's programs, which gets the arguments, then the names of files.
func convert(t testing.TB, program string, args []string, file []byte) []byte {
	t.Helper()
	path := testkit.Need(t, program)
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(in, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if program == "mergecap" {
		args = append(args, "-w", out, in)
	} else {
		args = append(args, in, out)
	}
	if msg, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWiresharkFormats reads what Wireshark's own programs write.
func TestWiresharkFormats(t *testing.T) {
	nanos := []Packet{
		{Time: noon, Link: Ethernet, Length: 90, Data: bytesOf(1, 90)},
		{Time: noon.Add(time.Millisecond), Link: Ethernet, Length: 4000, Data: bytesOf(2, 61)},
	}
	micros := []Packet{nanos[0], nanos[1]}
	for i := range micros {
		micros[i].Time = micros[i].Time.Truncate(time.Microsecond)
	}
	source := pcapFile(binary.LittleEndian, pcapNanos, Ethernet, nanos...)
	for _, tc := range []struct {
		format string
		want   []Packet
	}{
		{"pcap", micros}, {"nsecpcap", nanos}, {"pcapng", nanos},
	} {
		t.Run(tc.format, func(t *testing.T) {
			got, err := readBytes(t, convert(t, "editcap", []string{"-F", tc.format}, source), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	t.Run("modpcap", func(t *testing.T) {
		_, err := readBytes(t, convert(t, "editcap", []string{"-F", "modpcap"}, source), nil)
		if _, refused := errors.AsType[*FormatError](err); !refused {
			t.Errorf("got %v, want it refused", err)
		}
	})
	t.Run("secrets", func(t *testing.T) {
		keys := filepath.Join(t.TempDir(), "keys.log")
		const line = "CLIENT_RANDOM 00 11\n"
		if err := os.WriteFile(keys, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		var secrets string
		file := convert(t, "editcap", []string{"-F", "pcapng", "--inject-secrets", "tls," + keys}, source)
		got, err := readBytes(t, file, func(kind uint32, b []byte) { secrets += fmt.Sprintf("%x %s", kind, b) })
		if err != nil || len(got) != 2 || secrets != fmt.Sprintf("%x %s", TLSKeyLog, line) {
			t.Errorf("%d packets, secrets %q, %v", len(got), secrets, err)
		}
	})
	t.Run("several links", func(t *testing.T) {
		other := filepath.Join(t.TempDir(), "other.pcap")
		late := Packet{Time: noon.Add(time.Hour), Link: LinuxCooked, Length: 50, Data: bytesOf(3, 50)}
		if err := os.WriteFile(other, pcapFile(binary.BigEndian, pcapNanos, LinuxCooked, late), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readBytes(t, convert(t, "mergecap", []string{"-F", "pcapng", other}, source), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i].Interface = "" // mergecap may make one up
		}
		if diff := cmp.Diff(append(nanos[:2:2], late), got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// TestStandardInput reads from a pipe, as in "tcpdump -w - | vitrine replay -".
func TestStandardInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = old }()
	want := []Packet{{Time: noon, Link: RawIP, Length: 90, Data: bytesOf(1, 90)}}
	if _, err := w.Write(pcapFile(binary.LittleEndian, pcapNanos, RawIP, want...)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	f, err := OpenFile("-", FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := drain(f)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Stat(); err != nil {
		t.Errorf("the standard input was closed: %v", err)
	}
}
