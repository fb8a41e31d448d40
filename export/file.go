// Package export is how plaintext leaves for other tools: as packets of connections that look as if they had never been encrypted. A Sink
// that stands in front of another goes in; packets come out, to a file, to whoever connects (pcap-over-IP), or to a VXLAN mirror. It knows
// nothing of where plaintext comes from, or of what it says.
package export

import (
	"io"
	"sync"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Application is the program that exported files name.
const Application = "Vitrine"

// Recorder takes packets. It copies what it keeps.
type Recorder interface {
	Append(conn flow.ID, p *capture.Packet)
}

// Recorders are several that take the same.
type Recorders []Recorder

// Append hands the packet to each.
func (r Recorders) Append(conn flow.ID, p *capture.Packet) {
	for _, one := range r {
		one.Append(conn, p)
	}
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
