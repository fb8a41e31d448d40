package main

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// mount makes the file systems that a host has.
func mount() error {
	for _, m := range []struct {
		kind, path string
		optional   bool // older kernels know it by another name, or not at all
	}{
		{"devtmpfs", "/dev", false}, {"proc", "/proc", false}, {"sysfs", "/sys", false},
		{"tracefs", "/sys/kernel/tracing", true}, {"debugfs", "/sys/kernel/debug", true},
		{"cgroup2", "/sys/fs/cgroup", true}, {"bpf", "/sys/fs/bpf", true},
	} {
		if err := os.MkdirAll(m.path, 0o755); err != nil && !m.optional {
			return fmt.Errorf("mount %s: %w", m.path, err)
		}
		if err := unix.Mount(m.kind, m.path, m.kind, 0, ""); err != nil && !m.optional {
			return fmt.Errorf("mount %s: %w", m.path, err)
		}
	}
	return nil
}

// makeRaw keeps the serial line from changing what is written: no line ends of its own, no echo.
func makeRaw(f *os.File) error {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return fmt.Errorf("set serial line: %w", err)
	}
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t); err != nil {
		return fmt.Errorf("set serial line: %w", err)
	}
	return nil
}

// seed gives the kernel the host's randomness and has it counted, or TLS would wait for a quiet machine's noise for minutes.
func seed(random []byte) error {
	f, err := os.OpenFile("/dev/random", os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("seed randomness: %w", err)
	}
	defer f.Close()
	info := struct { // rand_pool_info of linux/random.h
		bits, size int32
		bytes      [64]byte
	}{bits: 8 * 64, size: 64}
	if copy(info.bytes[:], random) < len(info.bytes) {
		return errors.New("seed randomness: the plan's seed is short")
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&info))); errno != 0 {
		return fmt.Errorf("seed randomness: %w", errno)
	}
	return nil
}

// raiseLoopback switches the one network interface on.
func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	return nil
}

// kernelFeatures asks the kernel itself, as a check on what the probe says of it.
func kernelFeatures() (*abilities, error) {
	var a abilities
	for _, f := range []struct {
		has    *bool
		answer error
	}{
		{&a.RingBuffer, features.HaveMapType(ebpf.RingBuf)},
		{&a.UprobeMulti, features.HaveBPFLinkUprobeMulti()},
	} {
		if f.answer != nil && !errors.Is(f.answer, ebpf.ErrNotSupported) {
			return nil, fmt.Errorf("ask for the kernel's features: %w", f.answer)
		}
		*f.has = f.answer == nil
	}
	_, err := os.Stat("/sys/kernel/btf/vmlinux")
	a.BTF = err == nil
	return &a, nil
}
