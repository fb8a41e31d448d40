package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// TestCut cuts files at every byte: all packets that are whole come out, and the error tells where the file ends.
func TestCut(t *testing.T) {
	three := []Packet{{Time: noon, Length: 50, Data: bytesOf(1, 50)}, {Time: noon, Length: 7, Data: bytesOf(2, 7)}, {Time: noon, Length: 64, Data: bytesOf(3, 64)}}
	ng := &ngFile{order: binary.LittleEndian}
	ng.section().iface(Ethernet, 0, "eth0", 9, 0)
	ends := map[int]int{len(ng.b): 0} // whole prefixes -> packets in them
	for i, p := range three {
		ng.packet(0, uint64(noon.UnixNano()), p.Length, p.Data)
		ends[len(ng.b)] = i + 1
		ng.block(0xbad, nil)
		ends[len(ng.b)] = i + 1
	}
	pcapEnds := map[int]int{}
	for i := range 4 {
		pcapEnds[len(pcapFile(binary.LittleEndian, pcapNanos, 1, three[:i]...))] = i
	}
	for _, tc := range []struct {
		name string
		file []byte
		ends map[int]int
	}{
		{"pcap", pcapFile(binary.LittleEndian, pcapNanos, 1, three...), pcapEnds},
		{"pcapng", ng.b, ends},
	} {
		t.Run(tc.name, func(t *testing.T) {
			last := 0
			for n := range len(tc.file) + 1 {
				got, err := read(t, bytes.NewReader(tc.file[:n]), FileOptions{})
				if packets, whole := tc.ends[n]; whole {
					last = packets
					if err != nil {
						t.Fatalf("%d bytes: %v", n, err)
					}
				} else if d, ok := errors.AsType[*FormatError](err); n > 28 && (!ok || d.Offset != int64(n)) {
					t.Fatalf("%d bytes: got %v, want damage at %d", n, err, n)
				}
				if len(got) != last {
					t.Fatalf("%d bytes: %d packets, want %d", n, len(got), last)
				}
			}
		})
	}
}

func TestDamage(t *testing.T) {
	good := func() *ngFile {
		f := &ngFile{order: binary.LittleEndian}
		return f.section().iface(Ethernet, 0, "", 0, 0).packet(0, 1, 8, bytesOf(1, 8))
	}
	at := len(good().b)
	raw := func(b ...byte) []byte { return append(good().b, b...) }
	short := func(kind uint32) []byte { f := good(); f.block(kind, make([]byte, 0)); return f.b }
	many := &ngFile{order: binary.LittleEndian}
	many.section()
	for range maxInterfaces + 1 {
		many.iface(Ethernet, 0, "", 0, 0)
	}
	badOption := good()
	badOption.block(blockInterface, append(make([]byte, 8), 2, 0, 200, 0))
	badSecret := good()
	badSecret.block(blockSecrets, []byte{1, 2, 3, 4, 200, 0, 0, 0, 1, 2, 3, 4})
	badPacket := good()
	badPacket.block(blockPacket, append(make([]byte, 12), 9, 0, 0, 0, 9, 0, 0, 0, 1, 2, 3, 4))
	hugePacket := pcapFile(binary.LittleEndian, pcapMicros, 1, Packet{Data: bytesOf(1, 4), Length: 4}, Packet{Data: make([]byte, MaxPacket+1)})
	trailer := good()
	trailer.block(blockPacket, bytesOf(1, 40))
	trailer.b[len(trailer.b)-4]++
	for _, tc := range []struct {
		name    string
		file    []byte
		offset  int
		packets int
	}{
		{"empty", nil, 0, 0},
		{"another kind of file", []byte("PK\x03\x04 and more"), 0, 0},
		{"modified pcap", pcapFile(binary.LittleEndian, pcapModified, 1), 0, 0},
		{"pcap version", append(binary.LittleEndian.AppendUint32(nil, pcapMicros), make([]byte, 20)...), 4, 0},
		{"pcap packet too long", hugePacket, 24 + 16 + 4 + 8, 1},
		{"no byte order", append([]byte{0x0a, 0x0d, 0x0d, 0x0a}, make([]byte, 24)...), 8, 0},
		{"block shorter than its overhead", raw(9, 0, 0, 0, 8, 0, 0, 0), at + 4, 1},
		{"block of odd length", raw(9, 0, 0, 0, 13, 0, 0, 0), at + 4, 1},
		{"wanted block too long", raw(6, 0, 0, 0, 0, 0, 0, 0x7f), at + 4, 1},
		{"unwanted block that never ends", raw(9, 0, 0, 0, 0, 0, 0, 0x7f), at + 8, 1},
		{"lengths differ", trailer.b, at + 8 + 40, 1},
		{"short interface", short(blockInterface), at + 4, 1},
		{"short packet", short(blockPacket), at + 4, 1},
		{"short simple packet", short(blockSimple), at + 4, 1},
		{"short secrets", short(blockSecrets), at + 4, 1},
		{"unknown interface", good().packet(1, 1, 4, bytesOf(1, 4)).b, at + 8, 1},
		{"packet longer than its block", badPacket.b, at + 8 + 12, 1},
		{"packet too long", good().packet(0, 1, 4, make([]byte, MaxPacket+1)).b, at + 8 + 12, 1},
		{"option longer than its block", badOption.b, at + 8 + 8 + 2, 1},
		{"secrets longer than their block", badSecret.b, at + 8 + 4, 1},
		{"simple packet without interface", (&ngFile{order: binary.LittleEndian}).section().simple(4, bytesOf(1, 4)).b, 28, 0},
		{"too many interfaces", many.b, len(many.b) - 24, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := read(t, bytes.NewReader(tc.file), FileOptions{Secrets: func(uint32, []byte) {}})
			d, ok := errors.AsType[*FormatError](err)
			if !ok || d.Offset != int64(tc.offset) || d.File != "test" {
				t.Errorf("got %v, want damage at %d", err, tc.offset)
			}
			if len(got) != tc.packets {
				t.Errorf("%d packets, want %d", len(got), tc.packets)
			}
		})
	}
}

func TestDamagedCompression(t *testing.T) {
	packets := make([]Packet, 2000)
	for i := range packets {
		packets[i] = Packet{Time: noon, Length: 1000, Data: bytesOf(byte(i*7), 1000)}
	}
	file := pcapFile(binary.LittleEndian, pcapNanos, 1, packets...)
	for name, b := range map[string][]byte{"gzip": gzipped(t, file), "zstd": zstded(t, file)} {
		got, err := read(t, bytes.NewReader(b[:len(b)-9]), FileOptions{})
		d, ok := errors.AsType[*FormatError](err)
		if !ok {
			t.Fatalf("%s: got %v, want damage", name, err)
		}
		// All that could be decompressed was read: the damage is in the packet that follows.
		if record := int64(pcapRecordHeader + 1000); (d.Offset-pcapFileHeader)/record != int64(len(got)) {
			t.Errorf("%s: damage at %d after %d packets", name, d.Offset, len(got))
		}
	}
}

// TestReadError tells a disk that fails from a file that is damaged.
func TestReadError(t *testing.T) {
	file := pcapFile(binary.LittleEndian, pcapNanos, 1, Packet{Time: noon, Length: 90, Data: bytesOf(1, 90)})
	broken := errors.New("broken disk")
	for name, b := range map[string][]byte{"plain": file, "gzip": gzipped(t, file)[:40], "zstd": zstded(t, file)[:30]} {
		_, err := read(t, io.MultiReader(bytes.NewReader(b), iotest.ErrReader(broken)), FileOptions{})
		if _, damaged := errors.AsType[*FormatError](err); damaged || !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestHostileTimes(t *testing.T) {
	for _, tc := range []struct {
		name       string
		resolution byte
		offset     int64
		stamp      uint64
	}{
		{"far future", 1, 0, 1 << 63},
		{"offset overflows", 9, 1<<63 - 1, 1 << 63},
		{"before the epoch", 9, -1 << 63, 1},
		{"finest power of ten", 127, 0, 1 << 63},
		{"finest power of two", 255, 0, 1 << 63},
	} {
		f := (&ngFile{order: binary.LittleEndian}).section().iface(Ethernet, 0, "", tc.resolution, tc.offset).packet(0, tc.stamp, 4, bytesOf(1, 4))
		got, err := read(t, bytes.NewReader(f.b), FileOptions{})
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %d packets, %v", tc.name, len(got), err)
		}
		if y := got[0].Time.Year(); y < 1970 || y > 2262 {
			t.Errorf("%s: year %d", tc.name, y)
		}
	}
}
