package gobinary

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

// The build information that the linker leaves for `go version` (package debug/buildinfo): a header, of which byte 15 has flags,
// then the length of the version and the version itself.
const (
	buildInfoMagic  = "\xff Go buildinf:"
	buildInfoHeader = 32
	inlineStrings   = 2  // flag: since Go 1.18; before, pointers to the strings follow the header
	maxVersion      = 96 // "go1.26.3 X:experiment,experiment"
)

// goVersion returns the version of the Go that made a file.
func goVersion(file *elf.File) (string, error) {
	section := file.Section(".go.buildinfo")
	if section == nil || section.Type != elf.SHT_PROGBITS {
		return "", ErrNotGo
	}
	b := make([]byte, min(section.FileSize, buildInfoHeader+binary.MaxVarintLen64+maxVersion))
	if _, err := section.ReaderAt.ReadAt(b, 0); err != nil && err != io.EOF {
		return "", fmt.Errorf("%w: read build information: %w", ErrUnsupported, err)
	}
	if len(b) < buildInfoHeader || !bytes.HasPrefix(b, []byte(buildInfoMagic)) {
		return "", fmt.Errorf("%w: the build information lacks its magic", ErrUnsupported)
	}
	if b[15]&inlineStrings == 0 {
		return "", fmt.Errorf("%w: it is older than 1.18", ErrUnsupported)
	}
	size, n := binary.Uvarint(b[buildInfoHeader:])
	text := b[buildInfoHeader+max(n, 0):]
	if n <= 0 || size == 0 || size > uint64(len(text)) || size > maxVersion {
		return "", fmt.Errorf("%w: the build information has no version", ErrUnsupported)
	}
	text = text[:size]
	if bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", fmt.Errorf("%w: the version %q has strange letters", ErrUnsupported, text)
	}
	return string(text), nil
}
