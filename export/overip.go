package export

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/queue"
)

const (
	// maxReaders is how many may be connected at once.
	maxReaders = 8
	// maxWaiting is how many packets wait for a reader. One of a TCP connection has at most 1,500 bytes.
	maxWaiting = 4096
	// readerPatience is how long a reader may take none of them.
	readerPatience = 30 * time.Second
)

// OverIP is a Recorder that sends what it takes to everybody who connects, as a pcap file without an end (pcap-over-IP). A reader gets what comes
// after it has connected; one that is slow misses packets, and holds up nobody.
type OverIP struct {
	listener net.Listener
	log      *slog.Logger
	dropped  atomic.Uint64

	mu      sync.Mutex // guards readers
	readers map[*queue.Queue[[]byte]]bool
}

// NewOverIP returns a server for the listener, which its Run closes.
func NewOverIP(l net.Listener, log *slog.Logger) *OverIP {
	return &OverIP{listener: l, log: log, readers: map[*queue.Queue[[]byte]]bool{}}
}

// Dropped returns how many packets readers have missed.
func (o *OverIP) Dropped() uint64 { return o.dropped.Load() }

// Append implements Recorder.
func (o *OverIP) Append(_ flow.ID, p *capture.Packet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.readers) == 0 {
		return
	}
	record := appendPcap(nil, p)
	for r := range o.readers {
		if !r.Offer(record) {
			o.dropped.Add(1)
		}
	}
}

// Run serves readers until ctx is done.
func (o *OverIP) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	defer context.AfterFunc(ctx, func() { o.listener.Close() })()
	for {
		c, err := o.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case err != nil:
			return err
		}
		waiting, ok := o.join()
		if !ok {
			o.log.Warn("reader of the plaintext turned away: there are too many", "component", "export", "reader", c.RemoteAddr())
			c.Close()
			continue
		}
		o.log.Info("plaintext is read", "component", "export", "reader", c.RemoteAddr())
		all.Go(func() {
			defer o.leave(waiting)
			defer context.AfterFunc(ctx, func() { c.Close() })()
			err := send(c, waiting)
			o.log.Info("plaintext is no longer read", "component", "export", "reader", c.RemoteAddr(), "err", err)
		})
	}
}

func (o *OverIP) join() (waiting *queue.Queue[[]byte], ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.readers) >= maxReaders {
		return nil, false
	}
	waiting = queue.New[[]byte](maxWaiting)
	o.readers[waiting] = true
	return waiting, true
}

func (o *OverIP) leave(waiting *queue.Queue[[]byte]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting.Leave()
	delete(o.readers, waiting)
}

// errLeft says that a reader has ended the connection.
var errLeft = errors.New("the reader has left")

// send writes packets until the reader is gone.
func send(c net.Conn, waiting *queue.Queue[[]byte]) error {
	defer c.Close()
	left := make(chan struct{})
	go func() { // who reads has nothing to say: this ends with the connection
		defer close(left)
		_, _ = c.Read(make([]byte, 1))
	}()
	defer func() {
		c.Close()
		<-left
	}()
	if _, err := c.Write(pcapHeader); err != nil {
		return err
	}
	for {
		select {
		case <-left:
			return errLeft
		case record := <-waiting.Items():
			_ = c.SetWriteDeadline(time.Now().Add(readerPatience))
			if _, err := c.Write(record); err != nil {
				return err
			}
		}
	}
}

// pcapHeader begins a pcap file of IP packets without a link layer, in microseconds, little endian.
var pcapHeader = func() []byte {
	b := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	b = binary.LittleEndian.AppendUint32(b, capture.MaxPacket)
	return binary.LittleEndian.AppendUint32(b, uint32(capture.RawIP))
}()

func appendPcap(b []byte, p *capture.Packet) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Time.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Time.Nanosecond()/1000))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Length))
	return append(b, p.Data...)
}
