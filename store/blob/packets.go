// Package blob keeps the packets of connections and writes them out again: Packets go in with the id of their
// connection, files that Wireshark, Suricata and Zeek read come out. It knows packets and connections, and nothing of
// events, keys or protocols.
//
// Packets live in segments: files that are written from begin to end, closed with an index, and never changed again.
// Whatever can hold named immutable bytes and read ranges of them (a folder here; S3 by a PUT of each segment that is
// closed) can hold closed segments: reading needs io.ReaderAt and a size, and the index at the end of the segment makes
// it a handful of small reads.
//
// What was written survives the death of the process. Nothing waits for the disk to confirm: after a loss of power the
// newest segments may end early, which the checksum of each packet shows.
package blob

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/export"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Stats counts what became of packets. Appended = Written + the three drops + those that still wait.
type Stats struct {
	Appended       uint64
	Written        uint64
	DroppedBusy    uint64 // the disk was slower than the capture
	DroppedDisk    uint64 // the disk was full or failed
	DroppedStopped uint64 // Run had ended

	Segments int
	Bytes    int64  // of all segments
	Damaged  uint64 // segments or packets that could not be read again
}

// Packets keeps packets in a folder. Its methods may be called from any goroutine.
type Packets struct {
	cfg  Config
	log  *slog.Logger
	lock *os.File // held for as long as the folder is ours
	wake chan struct{}

	mu      sync.Mutex
	room    sync.Cond // fill has been emptied
	fill    []byte    // records that wait for the writer
	waiting uint64    // how many those are
	stopped bool
	stats   Stats // the counters

	files  sync.RWMutex
	closed []*segment // in the order in which they were written
	active *active    // nil until a packet comes
	next   uint64     // number of the next segment
	health error      // why nothing is written now
}

// Open opens the folder and recovers what a process that died has left. Nothing is written before Run.
func Open(cfg Config, log *slog.Logger) (*Packets, error) {
	p := &Packets{cfg: cfg.withDefaults(), log: log, wake: make(chan struct{}, 1)}
	p.room.L = &p.mu
	p.fill = make([]byte, 0, p.cfg.BufferBytes/2)
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make packet folder: %w", err)
	}
	if err := p.takeFolder(); err != nil {
		return nil, err
	}
	if err := p.openSegments(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// takeFolder keeps a second process out: the two would overwrite each other's segments.
func (p *Packets) takeFolder() error {
	path := filepath.Join(p.cfg.Dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open lock of packet folder: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("lock %s: %w: is another vitrine using this folder?", path, err), file.Close())
	}
	p.lock = file
	return nil
}

// openSegments reads the folder. A segment that makes no sense is reported and passed over.
func (p *Packets) openSegments() error {
	paths, err := filepath.Glob(filepath.Join(p.cfg.Dir, "*"+segmentSuffix))
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	slices.Sort(paths)
	for _, path := range paths {
		n, ok := segmentNumber(path)
		if !ok {
			continue
		}
		p.next = n + 1
		s, err := openSegment(path)
		if errors.Is(err, errNoIndex) {
			var cut int64
			if s, cut, err = recoverSegment(path); err == nil {
				p.log.Info("packet segment recovered", "path", path, "bytes_cut", cut)
			}
		}
		if err != nil {
			p.log.Warn("packet segment passed over", "path", path, "error", err)
			p.stats.Damaged++
			s = damagedSegment(path)
		}
		if s != nil {
			p.closed = append(p.closed, s)
		}
	}
	return nil
}

// Append records a packet of a connection. It does not allocate and never waits for the disk: what finds no room is
// counted as dropped.
func (p *Packets) Append(conn flow.ID, packet *capture.Packet) { p.append(conn, packet, false) }

// Patient returns an export.Recorder whose Append waits for the disk: for input that can wait, such as files. It needs Run.
func (p *Packets) Patient() export.Recorder { return patient{p} }

type patient struct{ p *Packets }

func (w patient) Append(conn flow.ID, packet *capture.Packet) { w.p.append(conn, packet, true) }

func (p *Packets) append(conn flow.ID, packet *capture.Packet, wait bool) {
	size := recordSize(packet)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Appended++
	for wait && !p.stopped && len(p.fill)+size > cap(p.fill) {
		p.wakeWriter()
		p.room.Wait()
	}
	switch {
	case p.stopped:
		p.stats.DroppedStopped++
	case len(p.fill)+size > cap(p.fill):
		p.stats.DroppedBusy++
	default:
		p.fill = appendRecord(p.fill, conn, packet)
		p.waiting++
		if len(p.fill) > cap(p.fill)/2 {
			p.wakeWriter()
		}
	}
}

func (p *Packets) wakeWriter() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run writes packets until ctx is done, then writes what still waits and closes the segment. End the sources first:
// what they append later is dropped.
func (p *Packets) Run(ctx context.Context) error {
	w := &writer{Packets: p, spare: make([]byte, 0, p.cfg.BufferBytes/2)}
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			w.stop()
			return nil
		case <-tick.C:
		case <-p.wake:
		}
		w.flush(time.Now())
	}
}

// Stats returns the counters so far.
func (p *Packets) Stats() Stats {
	p.mu.Lock()
	s := p.stats
	p.mu.Unlock()
	p.files.RLock()
	defer p.files.RUnlock()
	s.Segments, s.Bytes = len(p.closed), p.bytes()
	if p.active != nil {
		s.Segments++
	}
	return s
}

// bytes returns the size of all segments. Valid iff files is held.
func (p *Packets) bytes() int64 {
	var n int64
	for _, s := range p.closed {
		n += s.size
	}
	if p.active != nil {
		n += p.active.size
	}
	return n
}

// Health returns nil, or why packets are not being recorded now.
func (p *Packets) Health() error {
	p.files.RLock()
	defer p.files.RUnlock()
	return p.health
}

// Close gives the folder up. Run must have ended.
func (p *Packets) Close() error {
	if err := p.lock.Close(); err != nil {
		return fmt.Errorf("unlock packet folder: %w", err)
	}
	return nil
}

// damage counts and reports what could not be read.
func (p *Packets) damage(err error) {
	p.mu.Lock()
	p.stats.Damaged++
	p.mu.Unlock()
	p.log.Warn("packets could not be read", "error", err)
}
