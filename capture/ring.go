package capture

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// blockSize is what the kernel fills before it hands it over, unless the block's time is up. The longest packet fits.
const blockSize = 2 * MaxPacket

// pollLimit ends each wait, so that a wake-up that the kernel fails to give costs a moment and not the capture.
const pollLimit = time.Second

// ring is memory that the kernel fills with packets: TPACKET_V3 of packet(7), Documentation/networking/packet_mmap.rst.
// A block belongs to the kernel or to us, as its status says.
type ring struct {
	fd, wake int // the socket, and an eventfd that ends a wait
	mem      []byte
	fds      [2]unix.PollFd
	timeout  time.Duration // after which the kernel hands over a block that is not full
	failed   error         // of the socket; what the ring still holds comes first

	mu    sync.Mutex
	freed bool
	stats LiveStats
}

// openRing turns the socket into one with a ring. It owns fd from now on.
func openRing(fd, bytes int, timeout time.Duration, reserve int) (*ring, error) {
	r := &ring{fd: fd, wake: -1, timeout: timeout}
	if err := r.open(bytes, reserve); err != nil {
		r.free()
		return nil, err
	}
	return r, nil
}

func (r *ring) open(bytes, reserve int) (err error) {
	if r.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make event descriptor: %w", err)
	}
	r.fds = [2]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}, {Fd: int32(r.wake), Events: unix.POLLIN}}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("choose ring version 3: %w", err)
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_RESERVE, reserve); err != nil {
		return fmt.Errorf("reserve room before packets: %w", err)
	}
	blocks := max(bytes/blockSize, 2)
	req := unix.TpacketReq3{
		Block_size: blockSize, Block_nr: uint32(blocks),
		Frame_size: blockSize, Frame_nr: uint32(blocks), // version 3 packs packets tightly; the sizes only have to add up
		Retire_blk_tov: uint32(max(r.timeout.Milliseconds(), 1)),
	}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("make ring of %d blocks: %w", blocks, err)
	}
	r.mem, err = unix.Mmap(r.fd, 0, blocks*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map ring: %w", err)
	}
	return nil
}

// blocks returns how many blocks the ring has.
func (r *ring) blocks() int { return len(r.mem) / blockSize }

// header returns the header of block n: struct tpacket_hdr_v1, after the two words of struct tpacket_block_desc.
func (r *ring) header(n int) *unix.TpacketHdrV1 {
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&r.mem[n*blockSize+int(unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr))]))
}

// ours says whether the kernel has handed over block n.
func (r *ring) ours(n int) bool {
	return atomic.LoadUint32(&r.header(n).Block_status)&unix.TP_STATUS_USER != 0
}

// giveBack lets the kernel fill block n again.
func (r *ring) giveBack(n int) {
	atomic.StoreUint32(&r.header(n).Block_status, unix.TP_STATUS_KERNEL)
}

// wait returns when a block may have been handed over or wakeUp was called. Once the socket has failed it goes on for as
// long as a block can be open in the kernel, then returns the failure.
func (r *ring) wait() error {
	limit := pollLimit
	if r.failed != nil {
		limit = 3 * r.timeout
	}
	n, err := unix.Poll(r.fds[:], int(limit.Milliseconds())+1)
	switch {
	case errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("wait for packets: %w", err)
	case n == 0:
		return r.failed
	case r.fds[0].Revents&^unix.POLLIN != 0 && r.failed == nil:
		r.failed = r.failure()
	}
	return nil
}

// failure returns what the socket has to say.
func (r *ring) failure() error {
	errno, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return fmt.Errorf("ask the socket for its error: %w", err)
	case errno == 0:
		return nil
	}
	return unix.Errno(errno)
}

// wakeUp ends a wait, now or to come.
func (r *ring) wakeUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.freed {
		// The only error of a write to an eventfd is a counter that is full: the wait has ended then.
		_, _ = unix.Write(r.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// count returns the statistics so far. The kernel starts again from zero each time that it is asked.
func (r *ring) count() LiveStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collect()
	return r.stats
}

// collect adds what the kernel has counted. Valid iff mu is held.
func (r *ring) collect() {
	if r.freed {
		return
	}
	if s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		r.stats.Received += uint64(s.Packets - s.Drops) // the kernel counts a drop as a packet too
		r.stats.Dropped += uint64(s.Drops)
	}
}

// free gives the memory and the socket back. Packets that point into the ring are gone with it.
func (r *ring) free() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.freed {
		return
	}
	r.collect()
	r.freed = true
	// Nothing can be done about an error of these three, and none is to be expected of descriptors that are ours.
	if r.mem != nil {
		_ = unix.Munmap(r.mem)
	}
	_ = unix.Close(r.fd)
	if r.wake >= 0 {
		_ = unix.Close(r.wake)
	}
}
