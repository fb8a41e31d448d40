package gobinary

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The build information that the linker leaves for `go version` (package debug/buildinfo), somewhere in the data: a header, of which
// byte 15 has flags, then the length of the version and the version itself.
const (
	buildInfoMagic  = "\xff Go buildinf:"
	buildInfoAlign  = 16
	buildInfoHeader = 32
	inlineStrings   = 2  // flag: since Go 1.18; before, pointers to the strings follow the header
	maxVersion      = 96 // "go1.26.3 X:experiment,experiment"
)

// version returns the version of the Go that made a program.
func (m *Image) version() (string, error) {
	segments, err := m.segments(writable)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotGo, err)
	}
	for _, s := range segments {
		data := m.reader(s.Span)
		at := int64(-1)
		err := search(data, []byte(buildInfoMagic), func(i int64) bool {
			if (s.Addr+uint64(i))%buildInfoAlign == 0 {
				at = i
			}
			return at < 0
		})
		if err != nil {
			return "", fmt.Errorf("%w: search build information: %w", ErrUnsupported, err)
		}
		if at >= 0 {
			b := make([]byte, buildInfoHeader+binary.MaxVarintLen64+maxVersion)
			n, _ := data.ReadAt(b, at)
			return parseVersion(b[:n])
		}
	}
	return "", ErrNotGo
}

func parseVersion(info []byte) (string, error) {
	if len(info) < buildInfoHeader {
		return "", fmt.Errorf("%w: the build information is cut off", ErrUnsupported)
	}
	if info[15]&inlineStrings == 0 {
		return "", fmt.Errorf("%w: it is older than 1.18", ErrUnsupported)
	}
	size, n := binary.Uvarint(info[buildInfoHeader:])
	if n <= 0 || size == 0 || size > maxVersion || size > uint64(len(info)-buildInfoHeader-n) {
		return "", fmt.Errorf("%w: the build information has no version", ErrUnsupported)
	}
	text := info[buildInfoHeader+n:][:size]
	if bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", fmt.Errorf("%w: the version is not text: %q", ErrUnsupported, text)
	}
	return string(text), nil
}
