package governor

import (
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestInContainer(t *testing.T) {
	link := func(to string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink} }
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	host := fstest.MapFS{
		"proc/self/ns/pid":    link("pid:[4026531836]"),
		"proc/self/ns/cgroup": link("cgroup:[4026531835]"),
		"proc/self/cgroup":    text("0::/system.slice/vitrine-agent.service\n"),
	}
	for name, c := range map[string]struct {
		files fstest.MapFS
		env   map[string]string
		want  bool
	}{
		"host":                    {nil, nil, false},
		"host without /proc":      {fstest.MapFS{"proc/self/ns/pid": nil, "proc/self/ns/cgroup": nil, "proc/self/cgroup": nil}, nil, false},
		"host with Docker":        {fstest.MapFS{"proc/self/cgroup": text("0::/system.slice/docker.service\n")}, nil, false},
		"Docker":                  {fstest.MapFS{".dockerenv": text("")}, nil, true},
		"Podman":                  {fstest.MapFS{"run/.containerenv": text("")}, nil, true},
		"systemd-nspawn":          {nil, map[string]string{"container": "systemd-nspawn"}, true},
		"Kubernetes":              {nil, map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, true},
		"service account":         {fstest.MapFS{"run/secrets/kubernetes.io/serviceaccount/token": text("x")}, nil, true},
		"own processes":           {fstest.MapFS{"proc/self/ns/pid": link("pid:[4026532201]")}, nil, true},
		"host's processes":        {fstest.MapFS{"proc/self/ns/cgroup": link("cgroup:[4026532299]")}, nil, true},
		"control group of Docker": {fstest.MapFS{"proc/self/cgroup": text("4:memory:/docker/0123456789ab\n")}, nil, true},
		"control group of a pod":  {fstest.MapFS{"proc/self/cgroup": text("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-2.scope\n")}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{}
			for _, more := range []fstest.MapFS{host, c.files} {
				for path, file := range more {
					if file == nil {
						delete(files, path)
						continue
					}
					files[path] = file
				}
			}
			if got := inContainer(files, func(name string) string { return c.env[name] }); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
