package probe

import (
	"runtime"

	"github.com/cilium/ebpf/features"
)

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
