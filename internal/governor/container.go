package governor

import (
	"io/fs"
	"os"
	"strings"
)

// InContainer tells whether this process runs in a container rather than on the host. It has no single sign that all runtimes
// and Kubernetes leave, and errs on the side of the host.
func InContainer() bool { return inContainer(os.DirFS("/"), os.Getenv) }

// markers are files that runtimes put into a container: Docker, Podman and CRI-O, Kubernetes' service accounts.
var markers = [...]string{".dockerenv", "run/.containerenv", "run/secrets/kubernetes.io", "var/run/secrets/kubernetes.io"}

// initial are the namespaces that the kernel makes at boot, whose numbers are fixed (include/linux/proc_ns.h). A pod that
// shares the host's processes still has a control group namespace of its own, where control groups are version 2.
var initial = map[string]string{"pid": "pid:[4026531836]", "cgroup": "cgroup:[4026531835]"}

// cgroups are parts of the control groups' names that runtimes choose.
var cgroups = [...]string{"/docker/", "/docker-", "/kubepods", "/libpod-", "/cri-containerd-", "/crio-", "/lxc/", "/lxc."}

func inContainer(root fs.FS, getenv func(string) string) bool {
	if getenv("KUBERNETES_SERVICE_HOST") != "" || getenv("container") != "" {
		return true
	}
	for _, name := range markers {
		if _, err := fs.Stat(root, name); err == nil {
			return true
		}
	}
	for name, number := range initial {
		if link, err := fs.ReadLink(root, "proc/self/ns/"+name); err == nil && link != number {
			return true
		}
	}
	own, _ := fs.ReadFile(root, "proc/self/cgroup")
	for _, part := range cgroups {
		if strings.Contains(string(own), part) {
			return true
		}
	}
	return false
}
