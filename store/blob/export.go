package blob

import (
	"errors"
	"io"
	"iter"
	"sync"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Application is the program that exported files name.
const Application = "Vitrine"

// WriteBefore writes packets as they were captured: a pcapng file, with the key log before the first packet unless it is
// empty. An error among the packets does not end the file; it is returned once all others are written.
func WriteBefore(w io.Writer, packets iter.Seq2[capture.Packet, error], keyLog []byte) error {
	return export(w, packets, keyLog)
}

// WriteAfter writes packets that hold plaintext: a pcapng file. Errors are as with WriteBefore.
func WriteAfter(w io.Writer, packets iter.Seq2[capture.Packet, error]) error {
	return export(w, packets, nil)
}

func export(w io.Writer, packets iter.Seq2[capture.Packet, error], keyLog []byte) error {
	out := capture.NewWriter(w, Application)
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

// File records packets in one pcapng file. It is a Recorder.
type File struct {
	mu  sync.Mutex
	out *capture.Writer
	err error
}

// NewFile returns a File that writes to w, which it does not close.
func NewFile(w io.Writer) *File { return &File{out: capture.NewWriter(w, Application)} }

// Append writes a packet. An error ends the file, and is what Close returns.
func (f *File) Append(_ flow.ID, p *capture.Packet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = f.out.Packet(p)
	}
}

// Close writes what is left in memory and returns the first error of all.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = f.out.Flush()
	}
	return f.err
}
