package blob

import (
	"errors"
	"io"
	"iter"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/export"
)

// WriteBefore writes packets as they were captured: a pcapng file, with the key log before the first packet unless it is
// empty. An error among the packets does not end the file; it is returned once all others are written.
func WriteBefore(w io.Writer, packets iter.Seq2[capture.Packet, error], keyLog []byte) error {
	return writeAll(w, packets, keyLog)
}

// WriteAfter writes packets that hold plaintext: a pcapng file. Errors are as with WriteBefore.
func WriteAfter(w io.Writer, packets iter.Seq2[capture.Packet, error]) error {
	return writeAll(w, packets, nil)
}

func writeAll(w io.Writer, packets iter.Seq2[capture.Packet, error], keyLog []byte) error {
	out := capture.NewWriter(w, export.Application)
	if len(keyLog) > 0 {
		out.Secrets(capture.TLSKeyLog, keyLog)
	}
	var damage error
	for p, err := range packets {
		if err != nil {
			damage = errors.Join(damage, err)
			continue
		}
		if err := out.Packet(&p); err != nil {
			return err
		}
	}
	return errors.Join(out.Flush(), damage)
}
