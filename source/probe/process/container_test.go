package process

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

const (
	id1, id2 = "412f1b54b5ab54937932e98e4b74081ee270fe0525831b6d8c1233678b05e2db", "fbee24367548e10de5d4f5f176bdb8740698b5bbc146da75bc749f3efc5d2a8b"
	uid      = "8c7a3c8e-1b1e-4a55-9a55-0123456789ab"
	slice    = "kubepods-besteffort-pod8c7a3c8e_1b1e_4a55_9a55_0123456789ab.slice"
)

func TestParseCgroups(t *testing.T) {
	in, inPod := place{container: id1}, place{id1, uid}
	for _, tc := range []struct {
		name, text string
		want       place
	}{
		{"host", "0::/\n", place{}},
		{"service", "0::/system.slice/nginx.service\n", place{}},
		{"user", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-1234.scope\n", place{}},
		{"docker, v1", "12:pids:/docker/" + id1 + "\n0::/\n", in},
		{"docker, v2", "0::/system.slice/docker-" + id1 + ".scope\n", in},
		{"docker, hybrid", "9:name=systemd:/\n8:pids:/docker/" + id1 + "\n0::/\n", in},
		{"systemd in docker", "0::/system.slice/docker-" + id1 + ".scope/system.slice/nginx.service\n", in},
		{"docker in docker", "0::/docker/" + id2 + "/docker/" + id1 + "\n", in},
		{"containerd, cgroupfs", "9:name=systemd:/kubepods/besteffort/pod" + uid + "/" + id1 + "\n", inPod},
		{"containerd, systemd", "0::/kubepods.slice/kubepods-besteffort.slice/" + slice + "/cri-containerd-" + id1 + ".scope\n", inPod},
		{"containerd, guaranteed", "0::/kubepods.slice/kubepods-pod8c7a3c8e_1b1e_4a55_9a55_0123456789ab.slice/cri-containerd-" + id1 + ".scope\n", inPod},
		{"containerd with another driver than the kubelet", "0::/system.slice/containerd.service/" + slice + ":cri-containerd:" + id1 + "\n", in},
		{"CRI-O", "0::/kubepods.slice/kubepods-besteffort.slice/" + slice + "/crio-" + id1 + ".scope/container\n", inPod},
		{"CRI-O's monitor", "0::/kubepods.slice/" + slice + "/crio-conmon-" + id1 + ".scope\n", place{}},
		{"kind: a node in docker", "0::/docker/" + id2 + "/kubelet.slice/kubelet-kubepods.slice/kubelet-" + slice + "/cri-containerd-" + id1 + ".scope\n", inPod},
		{"pod of a file", "0::/kubepods/pod0123456789abcdef0123456789abcdef/" + id1 + "\n", place{id1, "0123456789abcdef0123456789abcdef"}},
		{"pod without container", "0::/kubepods/pod" + uid + "\n", place{pod: uid}},
		{"read from another container", "0::/../../" + slice + "/cri-containerd-" + id1 + ".scope\n", inPod},
		{"podman, v1", "9:name=systemd:/libpod_parent/libpod-" + id1 + "\n", in},
		{"podman, systemd", "0::/machine.slice/libpod-" + id1 + ".scope/container\n", in},
		{"podman in a service", "0::/system.slice/shop.service/libpod-payload-" + id1 + "\n", in},
		{"podman without root", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id1 + ".scope\n", in},
		{"podman's monitor", "0::/machine.slice/libpod-conmon-" + id1 + ".scope\n", place{}},
		{"nerdctl", "0::/system.slice/nerdctl-" + id1 + ".scope\n", in},
		{"nspawn", "0::/machine.slice/machine-debian\\x2d12.scope/payload\n", place{container: "debian-12"}},
		{"nspawn service", "0::/machine.slice/systemd-nspawn@web.service/payload\n", place{container: "web"}},
		{"virtual machine", "0::/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator\n", place{}},
		{"LXC", "0::/lxc.payload.web/system.slice/ssh.service\n", place{container: "web"}},
		{"old LXC", "9:name=systemd:/lxc/web\n", place{container: "web"}},
		{"LXC's monitor", "0::/lxc.monitor.web\n", place{}},
		{"colons in the path", "0::/a:b/docker-" + id1 + ".scope\n", in},
		{"capital digits", "0::/docker/" + strings.ToUpper(id1) + "\n", place{}},
		{"no line", "garbage", place{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := parseCgroups([]byte(tc.text)); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestParseMounts(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       place
	}{
		{"docker", "135 118 254:0 /docker/containers/" + id1 + "/hostname /etc/hostname rw - ext4 /dev/vda rw\n", place{container: id1}},
		{"podman", "135 118 0:25 /containers/storage/overlay-containers/" + id1 + "/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n", place{container: id1}},
		{"pod", "1 2 8:1 /var/lib/kubelet/pods/" + uid + "/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n", place{pod: uid}},
		{"sandbox, not the container", "1 2 8:1 /containerd/io.containerd.grpc.v1.cri/sandboxes/" + id1 + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n", place{}},
		{"another mount", "1 2 8:1 /docker/containers/" + id1 + "/x /data rw - ext4 /dev/sda1 rw\n", place{}},
		{"cut off", "1 2 8:1 /docker", place{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := parseMounts([]byte(tc.text)); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// TestContainerFacts has files as the runtimes write them, shortened. What is not for us, such as the environment, is beside it.
func TestContainerFacts(t *testing.T) {
	const bundle = `{"ociVersion":"1.0.2","process":{"env":["SECRET=1"]},"annotations":{"io.kubernetes.cri.image-name":"example.com/shop:1.2",` +
		`"io.kubernetes.cri.sandbox-name":"shop-0","io.kubernetes.cri.sandbox-namespace":"store"}}`
	for _, tc := range []struct {
		name string
		at   place
		tree map[string]string
		want flow.Container
	}{
		{"nothing known", place{container: id1}, nil, flow.Container{ID: id1}},
		{"containerd", place{id1, uid}, map[string]string{"run/containerd/io.containerd.runtime.v2.task/k8s.io/" + id1 + "/config.json": bundle}, flow.Container{ID: id1, Image: "example.com/shop:1.2", Pod: "shop-0", Namespace: "store"}},
		{"k3s", place{id1, uid}, map[string]string{"run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/" + id1 + "/config.json": bundle}, flow.Container{ID: id1, Image: "example.com/shop:1.2", Pod: "shop-0", Namespace: "store"}},
		{"CRI-O", place{id1, uid}, map[string]string{"run/containers/storage/overlay-containers/" + id1 + "/userdata/config.json": `{"annotations":{"io.kubernetes.cri-o.ImageName":"shop:1","io.kubernetes.pod.name":"shop-0","io.kubernetes.pod.namespace":"store"}}`}, flow.Container{ID: id1, Image: "shop:1", Pod: "shop-0", Namespace: "store"}},
		{"docker", place{container: id1}, map[string]string{"var/lib/docker/containers/" + id1 + "/config.v2.json": `{"ID":"x","Config":{"Image":"nginx:1.25","Env":["SECRET=1"],"Labels":{}},"Name":"/web"}`}, flow.Container{ID: id1, Image: "nginx:1.25"}},
		{"docker for Kubernetes", place{id1, uid}, map[string]string{"var/lib/docker/containers/" + id1 + "/config.v2.json": `{"Config":{"Image":"sha256:1","Labels":{"io.kubernetes.pod.name":"shop-0","io.kubernetes.pod.namespace":"store"}}}`}, flow.Container{ID: id1, Image: "sha256:1", Pod: "shop-0", Namespace: "store"}},
		{"podman", place{container: id1}, map[string]string{"var/lib/containers/storage/overlay-containers/containers.json": `[{"id":"` + id2 + `","metadata":"{}"},{"id":"` + id1 + `","names":["a"],"metadata":"{\"image-name\":\"example.com/shop:1.2\",\"name\":\"a\"}"}]`}, flow.Container{ID: id1, Image: "example.com/shop:1.2"}},
		{"the kubelet alone", place{id1, uid}, map[string]string{"var/log/pods/kube-system_dns_0/0.log": "", "var/log/pods/store_shop-0_" + uid + "/web/0.log": ""}, flow.Container{ID: id1, Pod: "shop-0", Namespace: "store"}},
		{"no JSON", place{container: id1}, map[string]string{"var/lib/docker/containers/" + id1 + "/config.v2.json": `{"Config":`}, flow.Container{ID: id1}},
		{"a name that is a path", place{container: "../../x"}, map[string]string{"var/lib/x/config.v2.json": `{"Config":{"Image":"no"}}`}, flow.Container{ID: "../../x"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newContainers(makeTree(t, tc.tree))
			got := c.find(tc.at)
			if *got != tc.want {
				t.Errorf("got %+v, want %+v", *got, tc.want)
			}
			if c.find(tc.at) != got {
				t.Error("found again, it is another")
			}
		})
	}
	if got := newContainers("").find(place{}); got != nil {
		t.Errorf("the host is %v", got)
	}
}

// TestContainerFactsThatComeLater has a runtime that writes its files after the process was seen.
func TestContainerFactsThatComeLater(t *testing.T) {
	root, at := t.TempDir(), place{container: id1}
	c := newContainers(root)
	before := c.find(at)
	dir := filepath.Join(root, "var/lib/docker/containers", id1)
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "config.v2.json"), []byte(`{"Config":{"Image":"nginx"}}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	if c.find(at) != before {
		t.Error("looked up again at once")
	}
	known := c.seen[at]
	known.at = known.at.Add(-retryAfter)
	c.seen[at] = known
	if got := c.find(at); got.Image != "nginx" || before.Image != "" {
		t.Errorf("got %v; what was handed out before is %v", got, before)
	}
}

// cgroupFolder makes a control group in the hierarchy that systemd would use.
func cgroupFolder(t *testing.T, name string) string {
	t.Helper()
	for _, mount := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"} {
		if _, err := os.Stat(mount + "/cgroup.procs"); err != nil {
			continue
		}
		dir := filepath.Join(mount, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			testkit.SkipIfNotSupported(t, err)
			t.Fatal(err)
		}
		t.Cleanup(func() { // once its last process was waited for, which the kernel may need a moment for
			for range 100 {
				if err := os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("%s can't be removed", dir)
		})
		return dir
	}
	testkit.Skip(t, "no control groups are mounted")
	return ""
}

func TestReadInControlGroup(t *testing.T) {
	dir := cgroupFolder(t, "docker-"+id1+".scope")
	pid := start(t, exec.Command(testkit.Need(t, "sleep"), "60"))
	if err := os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0); err != nil {
		testkit.SkipIfNotSupported(t, err)
		t.Fatal(err)
	}
	table := New("/proc")
	p, err := table.Read(pid)
	if err != nil || p.Container == nil || p.Container.ID != id1 {
		t.Fatalf("got %+v, %v", p, err)
	}
	own, err := table.Read(os.Getpid())
	if err != nil || own.Container != nil && own.Container.ID == id1 {
		t.Errorf("the test itself is in %+v, %v", own.Container, err)
	}
}
