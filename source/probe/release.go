package probe

import (
	"errors"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
)

// What keeps the probe from running, where that is one of the usual things.
var (
	ErrPermission = errors.New("the kernel does not permit it: the probe needs root with all its capabilities, or CAP_BPF, CAP_PERFMON, " +
		"CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_CHECKPOINT_RESTORE; docs/probe-permissions.md tells how to give them")
	ErrOwnPIDs = errors.New("this container has process ids of its own: run it with the host's (docker run --pid=host, hostPID: true in Kubernetes)")
)

// Explain returns an error of Run as people need it: where a permission is missing, what is needed in its place. What the kernel's
// verifier says stays: it also speaks of permissions, and means the programs.
func Explain(err error) error {
	var verifier *ebpf.VerifierError
	if !errors.Is(err, os.ErrPermission) || errors.As(err, &verifier) && len(verifier.Log) > 0 {
		return err
	}
	return ErrPermission
}

// checkPIDs returns an error where process ids mean other processes to this program than to the kernel, as in a container that does not
// share the host's.
func checkPIDs() error {
	const hosts = "pid:[4026531836]" // PROC_PID_INIT_INO of include/linux/proc_ns.h
	if ns, err := os.Readlink("/proc/self/ns/pid"); err == nil && ns != hosts {
		return ErrOwnPIDs
	}
	return nil
}

// trampolinesKill tells whether return probes of the running kernel may kill programs. From 6.11 on, x86-64 leaves functions by a system
// call of its own, uretprobe(2), which a seccomp filter denies as any call that it does not know. Since 6.12.14, 6.13.3 and 6.14 the
// kernel lets it pass filters (kernel/seccomp.c, "passthrough uretprobe systemcall without filtering").
func trampolinesKill() bool {
	version, err := features.LinuxVersionCode()
	return err == nil && runtime.GOARCH == "amd64" && killsReturns(version)
}

func killsReturns(version uint32) bool {
	at := func(major, minor, patch uint32) uint32 { return major<<16 | minor<<8 | patch }
	return version >= at(6, 11, 0) && version < at(6, 12, 14) || version >= at(6, 13, 0) && version < at(6, 13, 3)
}
