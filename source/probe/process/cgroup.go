package process

import (
	"bytes"
	"strings"
)

// maxCgroups bounds /proc/PID/cgroup: a line of at most PATH_MAX for each of some 14 hierarchies.
const maxCgroups = 64 << 10

// place is where a process runs, as far as the names of its control groups tell. The zero place is the host.
type place struct {
	container string // 64 hexadecimal digits, or the name of an LXC or systemd-nspawn container
	pod       string // uid of the Kubernetes pod
}

// parseCgroups reads /proc/PID/cgroup: lines of hierarchy:controllers:path. It holds for cgroup v1, v2 and both at once: the first
// path that names a container counts. Paths are relative to the reader's own cgroup namespace, not to that of the process: one read
// from the host is whole even if the container has a namespace of its own and sees "/"; one read from another container begins
// with "/.." and still ends in the names that matter.
func parseCgroups(text []byte) place {
	for line := range bytes.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		if len(fields) < 3 {
			continue
		}
		if p := parseGroup(fields[2]); p != (place{}) {
			return p
		}
	}
	return place{}
}

// parseGroup reads one path. Containers nest, and run systemd with groups of its own: the innermost name of a container counts.
func parseGroup(path string) (p place) {
	parent := ""
	for name := range strings.SplitSeq(path, "/") {
		if isMonitor(name) {
			return place{} // a helper of the container, on the host
		}
		if uid := podUID(name); uid != "" {
			p = place{pod: uid}
		} else if id := containerID(parent, name); id != "" {
			p.container = id
		}
		parent = name
	}
	return p
}

// isMonitor tells the groups of conmon (podman, CRI-O) and of LXC's monitor.
func isMonitor(name string) bool {
	return strings.Contains(name, "-conmon-") || strings.HasPrefix(name, "lxc.monitor")
}

// containerID returns the container that the group name, below the group parent, is for:
//
//	docker/ID                        cgroupfs driver: Docker, containerd, nerdctl, Kubernetes
//	docker-ID.scope                  systemd driver: docker, cri-containerd, crio, nerdctl, libpod
//	libpod-payload-ID                podman in a service's own group
//	SLICE:cri-containerd:ID          containerd whose driver is not the kubelet's
//	lxc.payload.NAME, lxc/NAME       LXC 4 and later, before
//	machine-NAME.scope               systemd-nspawn, registered with machined
//	systemd-nspawn@NAME.service      systemd-nspawn, as a service
func containerID(parent, name string) string {
	if id := name[strings.LastIndexAny(name, "-:")+1:]; isID(strings.TrimSuffix(id, ".scope")) {
		return strings.TrimSuffix(id, ".scope")
	}
	if lxc, ok := strings.CutPrefix(name, "lxc.payload."); ok {
		return valid(lxc)
	}
	if parent == "lxc" || parent == "lxc.payload" {
		return valid(name)
	}
	if service, ok := strings.CutSuffix(name, ".service"); ok && strings.HasPrefix(service, "systemd-nspawn@") {
		return valid(unescape(strings.TrimPrefix(service, "systemd-nspawn@")))
	}
	if machine, ok := strings.CutSuffix(name, ".scope"); ok && parent == "machine.slice" && strings.HasPrefix(machine, "machine-") {
		machine = unescape(strings.TrimPrefix(machine, "machine-"))
		if strings.HasPrefix(machine, "qemu-") {
			return "" // libvirt's virtual machine: the process is the emulator, on the host
		}
		return valid(machine)
	}
	return ""
}

// podUID returns the uid in podUID, kubepods-besteffort-podUID.slice, kubepods-podUID.slice and the same below kubelet.slice, where slices
// have _ for -.
func podUID(name string) string {
	if slice, ok := strings.CutSuffix(name, ".slice"); ok {
		parent, uid, _ := strings.Cut(slice, "-pod")
		if !strings.HasSuffix(parent, "kubepods") && !strings.Contains(parent, "kubepods-") {
			return ""
		}
		name = "pod" + strings.ReplaceAll(uid, "_", "-")
	}
	uid, ok := strings.CutPrefix(name, "pod")
	if !ok || !isPodUID(uid) {
		return ""
	}
	return uid
}

// isID tells the 64 hexadecimal digits that all OCI runtimes' front ends use.
func isID(s string) bool { return len(s) == 64 && isHex(s) }

// isPodUID tells a UUID, or the 32 digits by which the kubelet names a pod from a file.
func isPodUID(s string) bool {
	const uuid = 36
	return (len(s) == uuid || len(s) == 32) && isHex(strings.ReplaceAll(s, "-", ""))
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// unescape undoes the only escape of systemd.unit(5) that a machine's name can need.
func unescape(s string) string { return strings.ReplaceAll(s, `\x2d`, "-") }
