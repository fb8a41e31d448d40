// Package outlet lets others have the plaintext of a gateway, as packets and as session keys. What people configure comes in; a Sink goes
// out that records on the way to the next one. It knows nothing of where plaintext comes from.
package outlet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/vitrine-ndr/vitrine/export"
	"github.com/vitrine-ndr/vitrine/source"
)

// Config says who else gets the plaintext. Nobody does unless it is set.
type Config struct {
	PcapOverIP string `yaml:"pcap_over_ip" doc:"address and port at which whoever connects is sent the plaintext as packets, in a pcap file"`
	VXLAN      VXLAN  `yaml:"vxlan"`
	KeyLog     string `yaml:"keylog" doc:"file for the session keys of both sides of inspected connections"`
}

// VXLAN is a mirror.
type VXLAN struct {
	To  string `yaml:"to" doc:"address and port that the plaintext is sent to, as packets in VXLAN"`
	VNI uint32 `yaml:"vni" doc:"number of the VXLAN network"`
}

// Validate checks addresses.
func (c *Config) Validate() error {
	for _, a := range []string{c.PcapOverIP, c.VXLAN.To} {
		if _, _, err := net.SplitHostPort(a); a != "" && err != nil {
			return fmt.Errorf("export must have address:port: %w", err)
		}
	}
	if c.VXLAN.VNI > export.MaxVNI {
		return fmt.Errorf("export.vxlan.vni must be at most %d", export.MaxVNI)
	}
	return nil
}

// Outlet is who else gets the plaintext. Its fields are nil where nobody does.
type Outlet struct {
	log     *slog.Logger
	to      export.Recorders
	segment int // most that packets may hold of a stream; 0: as usual
	after   *export.File
	overIP  *export.OverIP
	mirror  *export.Mirror
	keyLog  *os.File
	files   []io.Closer
}

// Open opens all that is configured, and says that it did. A key log that is configured lies in the folder, unless its path is absolute.
// pcapAfter is the path of one more file of packets, or empty.
func (c *Config) Open(pcapAfter, dir string, log *slog.Logger) (x *Outlet, err error) {
	x = &Outlet{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.Close())
		}
	}()
	tell := func(what, where string) {
		log.Warn("decrypted traffic leaves the gateway", "component", "export", "as", what, "to", where)
	}
	if pcapAfter != "" {
		f, err := x.create(pcapAfter, os.O_TRUNC)
		if err != nil {
			return x, err
		}
		x.after = export.NewFile(f)
		x.to = append(x.to, x.after)
		tell("packets", pcapAfter)
	}
	if c.PcapOverIP != "" {
		l, err := net.Listen("tcp", c.PcapOverIP)
		if err != nil {
			return x, fmt.Errorf("export.pcap_over_ip: %w", err)
		}
		x.overIP = export.NewOverIP(l, log)
		x.to = append(x.to, x.overIP)
		tell("packets", l.Addr().String())
	}
	if c.VXLAN.To != "" {
		if x.mirror, err = export.NewMirror(c.VXLAN.To, c.VXLAN.VNI); err != nil {
			return x, fmt.Errorf("export.vxlan: %w", err)
		}
		x.segment, x.files, x.to = export.MirrorData, append(x.files, x.mirror), append(x.to, x.mirror)
		tell("packets in VXLAN", c.VXLAN.To)
	}
	if c.KeyLog != "" {
		path := c.KeyLog
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if x.keyLog, err = x.create(path, os.O_APPEND); err != nil {
			return x, err
		}
		tell("session keys", x.keyLog.Name())
	}
	return x, nil
}

// create opens a file that only its owner may read.
func (x *Outlet) create(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|how, 0o600)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	x.files = append(x.files, f)
	return f, f.Chmod(0o600) // it may have been there
}

// Sink returns one that records on the way to the next.
func (x *Outlet) Sink(next source.Sink) source.Sink {
	if len(x.to) == 0 {
		return next
	}
	return export.PlainSink(next, x.to, export.PlainOptions{Segment: x.segment})
}

// Run serves those who come for the plaintext, until ctx is done.
func (x *Outlet) Run(ctx context.Context) error {
	if x.overIP == nil {
		return nil
	}
	return x.overIP.Run(ctx)
}

// Close ends the export, and tells what was lost.
func (x *Outlet) Close() error {
	var errs []error
	if x.after != nil {
		errs = append(errs, x.after.Close())
	}
	for _, f := range x.files {
		errs = append(errs, f.Close())
	}
	if x.overIP != nil && x.overIP.Dropped() > 0 {
		x.log.Warn("packets dropped: readers were too slow", "component", "export", "dropped", x.overIP.Dropped())
	}
	if x.mirror != nil && x.mirror.Failed() > 0 {
		x.log.Warn("packets not sent to the mirror", "component", "export", "failed", x.mirror.Failed())
	}
	return errors.Join(errs...)
}

// Keys returns where session keys are written, or nil.
func (x *Outlet) Keys() io.Writer {
	if x.keyLog == nil {
		return nil
	}
	return x.keyLog
}
