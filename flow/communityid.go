package flow

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
)

// CommunityID returns the flow hash, version 1 with seed 0, by which other tools know the same conversation
// (github.com/corelight/community-id-spec). It is the same for both directions, and empty where an address is not known.
func (t Tuple) CommunityID() string {
	if !t.Client.IP.IsValid() || !t.Server.IP.IsValid() {
		return ""
	}
	a, b := t.Client, t.Server
	if c := a.IP.Unmap().Compare(b.IP.Unmap()); c > 0 || c == 0 && a.Port > b.Port {
		a, b = b, a
	}
	buf := make([]byte, 2, 40) // the seed
	buf = append(buf, a.IP.Unmap().AsSlice()...)
	buf = append(buf, b.IP.Unmap().AsSlice()...)
	buf = append(buf, byte(t.Proto), 0)
	buf = binary.BigEndian.AppendUint16(buf, a.Port)
	buf = binary.BigEndian.AppendUint16(buf, b.Port)
	sum := sha1.Sum(buf)
	return "1:" + base64.StdEncoding.EncodeToString(sum[:])
}
