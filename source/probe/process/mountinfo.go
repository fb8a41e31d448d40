package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// maxMounts bounds how much of /proc/PID/mountinfo is read.
const maxMounts = 1 << 20

// place returns where a process runs. Where its control groups don't tell (a container without groups of its own, or the one that this
// program itself runs in, whose groups are named "/" in it) its mounts may.
func (t *Table) place(dir *os.Root) place {
	text, err := readBounded(dir, "cgroup", maxCgroups)
	if err != nil {
		return place{}
	}
	p := parseCgroups(text)
	if p.container != "" || namespace(dir, "mnt") == t.host {
		return p
	}
	if text, err = readBounded(dir, "mountinfo", maxMounts); err != nil {
		return p
	}
	mounts := parseMounts(text)
	if p.pod != "" {
		mounts.pod = p.pod
	}
	return mounts
}

// hostNamespace returns the mount namespace of the host, or else the own one; 0 if neither may be seen.
func hostNamespace(proc string) uint64 {
	for _, process := range []string{"1", "self"} {
		dir, err := os.OpenRoot(filepath.Join(proc, process))
		if err != nil {
			continue
		}
		defer dir.Close()
		if ns := namespace(dir, "mnt"); ns != 0 {
			return ns
		}
	}
	return 0
}

// parseMounts reads /proc/PID/mountinfo (proc_pid_mountinfo(5)). Runtimes mount files of their own as /etc/hostname, /etc/hosts and
// /etc/resolv.conf, and the fourth field tells where these are on the host:
//
//	.../containers/ID/hostname                     Docker
//	.../overlay-containers/ID/userdata/hosts       podman, CRI-O
//	.../pods/UID/etc-hosts                         the kubelet
func parseMounts(text []byte) (p place) {
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 5 || fields[4] != "/etc/hosts" && fields[4] != "/etc/hostname" && fields[4] != "/etc/resolv.conf" {
			continue
		}
		parent := ""
		for name := range strings.SplitSeq(fields[3], "/") {
			switch {
			case (parent == "containers" || parent == "overlay-containers") && isID(name):
				p.container = name
			case parent == "pods" && isPodUID(name):
				p.pod = name
			}
			parent = name
		}
	}
	return p
}
