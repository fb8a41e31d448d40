package probe

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/vitrine-ndr/vitrine/flow"
)

// kind says what a record tells, as enum kind in bpf/records.h.
type kind uint8

const (
	kindData   kind = 1 // plaintext
	kindGap    kind = 2 // length bytes of plaintext that are not sent
	kindTie    kind = 3 // the handle's socket
	kindFree   kind = 4 // the handle has ended
	kindHangup kind = 5 // the handle's socket was closed
	kindExec   kind = 6 // the process runs another program
	kindExit   kind = 7 // the process has ended
	kindMapped kind = 8 // the process has mapped code of a file
)

// way is a direction as a process sees it: what it reads, or what it writes.
type way uint8

const (
	in  way = 0
	out way = 1
)

// record is struct record of bpf/records.h, with what follows it.
type record struct {
	time     uint64 // of CLOCK_MONOTONIC, ns
	handle   uint64
	position [2]uint64 // by way
	pid      int
	length   int
	kind     kind
	way      way
	data     []byte // valid until the next record is read
}

const (
	headSize = 48
	tieSize  = 80
)

// decodeRecord reads what a program sent. It reports false for what none of them sends.
func decodeRecord(b []byte) (r record, ok bool) {
	if len(b) < headSize {
		return r, false
	}
	le := binary.NativeEndian
	r = record{
		time: le.Uint64(b), handle: le.Uint64(b[8:]), position: [2]uint64{le.Uint64(b[16:]), le.Uint64(b[24:])},
		pid: int(le.Uint32(b[32:])), length: int(le.Uint32(b[36:])), kind: kind(b[40]), way: way(b[41] & 1), data: b[headSize:],
	}
	if r.way == out { // the record has its own direction's position first
		r.position[in], r.position[out] = r.position[out], r.position[in]
	}
	switch r.kind {
	case kindData:
		if r.length > len(r.data) {
			return r, false
		}
		r.data = r.data[:r.length]
	case kindTie:
		return r, len(r.data) >= tieSize
	}
	return r, true
}

// fileKey names a file as the kernel does: struct file_key of bpf/state.h.
type fileKey struct {
	Inode              uint64
	Device, Generation uint32
}

// file returns the file of kindExec and kindMapped, and whether the kernel could tell.
func (r *record) file() (fileKey, bool) {
	k := fileKey{Inode: r.position[0], Device: uint32(r.position[1]), Generation: uint32(r.position[1] >> 32)}
	return k, k != fileKey{}
}

// role is which side of its connection a socket was seen to be: enum role of bpf/records.h.
type role uint16

const (
	roleUnknown role = 0
	roleClient  role = 1
)

// tie is struct tie of bpf/records.h.
type tie struct {
	fd            int // -1 if unknown
	known         bool
	local, remote flow.Endpoint // valid iff known
	role          role
	uid           int
	name          string // of the command
}

const familyInet = 2

func decodeTie(b []byte) tie {
	le := binary.NativeEndian
	family := le.Uint16(b[16:])
	t := tie{
		fd: int(int32(le.Uint32(b[12:]))), known: family != 0, role: role(le.Uint16(b[22:])),
		uid: int(le.Uint32(b[56:])), name: strings.ToValidUTF8(cString(b[60:76]), "\uFFFD"),
	}
	if t.known {
		t.local = flow.Endpoint{IP: address(family, b[24:40]), Port: le.Uint16(b[18:])}
		t.remote = flow.Endpoint{IP: address(family, b[40:56]), Port: le.Uint16(b[20:])}
	}
	return t
}

func address(family uint16, b []byte) netip.Addr {
	if family == familyInet {
		return netip.AddrFrom4([4]byte(b))
	}
	return netip.AddrFrom16([16]byte(b)).Unmap()
}

func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
