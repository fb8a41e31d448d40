package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// order is what both byte orders can do.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// pcapFile builds a pcap file in a byte order.
func pcapFile(o order, magic uint32, link LinkType, packets ...Packet) []byte {
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(b, 2)
	b = o.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = o.AppendUint32(b, MaxPacket)
	b = o.AppendUint32(b, uint32(link))
	for _, p := range packets {
		frac := p.Time.Nanosecond()
		if magic == pcapMicros {
			frac /= 1000
		}
		b = o.AppendUint32(b, uint32(p.Time.Unix()))
		b = o.AppendUint32(b, uint32(frac))
		b = o.AppendUint32(b, uint32(len(p.Data)))
		b = o.AppendUint32(b, uint32(p.Length))
		b = append(b, p.Data...)
	}
	return b
}

// ngFile builds a pcapng file block by block.
type ngFile struct {
	order
	b []byte
}

func (f *ngFile) block(kind uint32, body []byte) {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	n := uint32(len(body) + blockOverhead)
	f.b = f.AppendUint32(f.b, kind)
	f.b = f.AppendUint32(f.b, n)
	f.b = append(f.b, body...)
	f.b = f.AppendUint32(f.b, n)
}

func (f *ngFile) section() *ngFile {
	body := f.AppendUint32(nil, byteOrderMagic)
	body = f.AppendUint16(body, 1)
	body = f.AppendUint16(body, 0)
	f.block(blockSection, f.AppendUint64(body, ^uint64(0)))
	return f
}

func (f *ngFile) option(b []byte, code uint16, value []byte) []byte {
	b = f.AppendUint16(b, code)
	b = f.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

// iface describes an interface; resolution 0 leaves the default of microseconds.
func (f *ngFile) iface(link LinkType, snap uint32, name string, resolution byte, offset int64) *ngFile {
	body := f.AppendUint16(nil, uint16(link))
	body = f.AppendUint16(body, 0)
	body = f.AppendUint32(body, snap)
	if name != "" {
		body = f.option(body, optName, []byte(name))
	}
	if resolution != 0 {
		body = f.option(body, optTsResol, []byte{resolution})
	}
	if offset != 0 {
		body = f.option(body, optTsOffset, f.AppendUint64(nil, uint64(offset)))
	}
	f.block(blockInterface, f.option(body, optEnd, nil))
	return f
}

func (f *ngFile) packet(i uint32, stamp uint64, length int, data []byte) *ngFile {
	body := f.AppendUint32(nil, i)
	body = f.AppendUint32(body, uint32(stamp>>32))
	body = f.AppendUint32(body, uint32(stamp))
	body = f.AppendUint32(body, uint32(len(data)))
	body = f.AppendUint32(body, uint32(length))
	body = append(body, data...)
	f.block(blockPacket, append(body, make([]byte, -len(data)&3)...))
	return f
}

func (f *ngFile) oldPacket(i uint16, stamp uint64, length int, data []byte) *ngFile {
	body := f.AppendUint16(nil, i)
	body = f.AppendUint16(body, 7) // drops
	body = f.AppendUint32(body, uint32(stamp>>32))
	body = f.AppendUint32(body, uint32(stamp))
	body = f.AppendUint32(body, uint32(len(data)))
	body = f.AppendUint32(body, uint32(length))
	f.block(blockOldPacket, append(body, data...))
	return f
}

func (f *ngFile) simple(length int, data []byte) *ngFile {
	f.block(blockSimple, append(f.AppendUint32(nil, uint32(length)), data...))
	return f
}

func (f *ngFile) secret(kind uint32, data string) *ngFile {
	body := f.AppendUint32(nil, kind)
	body = f.AppendUint32(body, uint32(len(data)))
	f.block(blockSecrets, append(body, data...))
	return f
}

// read returns all packets of a file, and the error that ended it unless that is io.EOF.
func read(t testing.TB, in io.Reader, o FileOptions) ([]Packet, error) {
	t.Helper()
	f, err := NewReader("test", in, o)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return drain(f)
}

// readBytes is read for a file in memory.
func readBytes(t testing.TB, b []byte, secrets func(kind uint32, b []byte)) ([]Packet, error) {
	t.Helper()
	return read(t, bytes.NewReader(b), FileOptions{Secrets: secrets})
}

func drain(r Reader) ([]Packet, error) {
	var all []Packet
	for {
		var p Packet
		if err := r.Read(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return all, err
		}
		p.Data = bytes.Clone(p.Data)
		all = append(all, p)
	}
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(b, nil)
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 123456789, time.UTC)

// bytesOf returns n bytes that no other seed gives.
func bytesOf(seed byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i)*3
	}
	return b
}
