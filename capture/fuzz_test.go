package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// FuzzFile reads hostile files. What comes out must be within the bounds, and the error must be one about the file.
func FuzzFile(f *testing.F) {
	packets := []Packet{{Time: noon, Length: 80, Data: bytesOf(1, 60)}, {Time: noon, Length: 3, Data: bytesOf(2, 3)}}
	ng := &ngFile{order: binary.BigEndian}
	ng.section().secret(TLSKeyLog, "CLIENT_RANDOM").iface(Ethernet, 40, "eth0", 9, 0).packet(0, 1, 10, bytesOf(1, 9))
	ng.simple(90, bytesOf(1, 40)).oldPacket(0, 5, 4, bytesOf(3, 4)).section()
	for _, b := range [][]byte{
		pcapFile(binary.LittleEndian, pcapNanos, 1, packets...),
		pcapFile(binary.BigEndian, pcapMicros, 1, packets...),
		ng.b,
	} {
		f.Add(b)
		f.Add(gzipped(f, b))
		f.Add(zstded(f, b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader("fuzz", bytes.NewReader(b), FileOptions{Secrets: func(_ uint32, b []byte) {
			if len(b) > maxBlock {
				t.Fatalf("%d bytes of secrets", len(b))
			}
		}})
		if err != nil {
			needFormatError(t, err)
			return
		}
		defer r.Close()
		// A few bytes of zstd can stand for gigabytes: 64 Ki packets are enough to see.
		var p Packet
		for range 1 << 16 {
			if err = r.Read(&p); err != nil {
				break
			}
			if len(p.Data) > MaxPacket || p.Length < len(p.Data) {
				t.Fatalf("packet of %d bytes with length %d", len(p.Data), p.Length)
			}
		}
		if err != nil {
			if again := r.Read(&p); again != err {
				t.Fatalf("error %v became %v", err, again)
			}
			needFormatError(t, err)
		}
	})
}

func needFormatError(t *testing.T, err error) {
	t.Helper()
	if d, ok := errors.AsType[*FormatError](err); err.Error() != "EOF" && (!ok || d.Offset < 0) {
		t.Fatalf("error that is not about the file: %v", err)
	}
}
