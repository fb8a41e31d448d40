package process

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

const (
	// maxContainers bounds how many containers are remembered. When there are more, all are looked up again.
	maxContainers = 4096
	// maxBundle bounds a description of one container, maxStorage one of all containers of a store.
	maxBundle, maxStorage = 4 << 20, 32 << 20
	// retryAfter is how long a container of which not all was found is not looked for again: a runtime may write its files a moment
	// after it has started the first process.
	retryAfter = 2 * time.Second
)

// containers finds the facts of containers in the files of whatever runs them. No daemon is asked: there are such files for Docker,
// containerd, CRI-O, podman and the kubelet, they need no client library, and reading them can't wait for anybody.
type containers struct {
	host tree
	mu   sync.Mutex
	seen map[place]container
}

type container struct {
	facts *flow.Container
	whole bool      // nothing more is to be found
	at    time.Time // when it was looked up
}

func newContainers(host string) *containers {
	return &containers{host: tree{host}, seen: map[place]container{}}
}

// find returns the container at a place, nil for the host.
func (c *containers) find(p place) *flow.Container {
	if p == (place{}) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.seen[p]
	if ok && (known.whole || time.Since(known.at) < retryAfter) {
		return known.facts
	}
	if len(c.seen) >= maxContainers {
		clear(c.seen)
	}
	facts := c.lookUp(p)
	if ok && *facts == *known.facts {
		facts = known.facts // the same pointer, for as long as nothing new is known
	}
	whole := facts.Image != "" && (p.pod == "" || facts.Pod != "")
	c.seen[p] = container{facts, whole, time.Now()}
	return facts
}

func (c *containers) lookUp(p place) *flow.Container {
	facts := &flow.Container{ID: p.container}
	if isID(p.container) {
		c.fromBundle(facts)
		c.fromDocker(facts)
		c.fromStorage(facts)
	}
	if p.pod != "" && facts.Pod == "" {
		c.fromKubelet(facts, p.pod)
	}
	return facts
}

// bundles are where runtimes keep the OCI description of a running container: containerd (of its own, k3s and RKE2), with a folder for
// each of its namespaces, then CRI-O and podman.
var bundles = []string{
	"/run/containerd/io.containerd.runtime.v2.task/*/ID/config.json",
	"/run/k3s/containerd/io.containerd.runtime.v2.task/*/ID/config.json",
	"/run/containers/storage/overlay-containers/ID/userdata/config.json",
}

// fromBundle reads the annotations that containerd's CRI plugin (pkg/cri/annotations) and CRI-O (pkg/annotations) leave.
func (c *containers) fromBundle(facts *flow.Container) {
	for _, pattern := range bundles {
		before, after, _ := strings.Cut(pattern, "/ID/")
		for _, folder := range c.host.expand(before) {
			var bundle struct {
				Annotations map[string]string `json:"annotations"`
			}
			if !c.decode(folder+"/"+facts.ID+"/"+after, maxBundle, &bundle) {
				continue
			}
			a := bundle.Annotations
			fill(&facts.Image, a["io.kubernetes.cri.image-name"], a["io.kubernetes.cri-o.ImageName"])
			fill(&facts.Pod, a["io.kubernetes.cri.sandbox-name"], a["io.kubernetes.pod.name"])
			fill(&facts.Namespace, a["io.kubernetes.cri.sandbox-namespace"], a["io.kubernetes.pod.namespace"])
			return
		}
	}
}

func (c *containers) fromDocker(facts *flow.Container) {
	var docker struct {
		Config struct {
			Image  string
			Labels map[string]string
		}
	}
	if c.decode("/var/lib/docker/containers/"+facts.ID+"/config.v2.json", maxBundle, &docker) {
		fill(&facts.Image, docker.Config.Image)
		fill(&facts.Pod, docker.Config.Labels["io.kubernetes.pod.name"])
		fill(&facts.Namespace, docker.Config.Labels["io.kubernetes.pod.namespace"])
	}
}

// fromStorage reads the list that CRI-O and podman share (github.com/containers/storage): its metadata is JSON once more.
func (c *containers) fromStorage(facts *flow.Container) {
	if facts.Image != "" {
		return
	}
	var list []struct {
		ID       string `json:"id"`
		Metadata string `json:"metadata"`
	}
	c.decode("/var/lib/containers/storage/overlay-containers/containers.json", maxStorage, &list)
	for _, known := range list {
		var metadata struct {
			Image string `json:"image-name"`
		}
		if known.ID == facts.ID && json.Unmarshal([]byte(known.Metadata), &metadata) == nil {
			fill(&facts.Image, metadata.Image)
		}
	}
}

// fromKubelet finds a pod in the folders of its logs, whose names are NAMESPACE_POD_UID. Neither of the former may have an underscore.
func (c *containers) fromKubelet(facts *flow.Container, uid string) {
	for _, name := range c.host.list("/var/log/pods") {
		rest, ok := strings.CutSuffix(name, "_"+uid)
		namespace, pod, two := strings.Cut(rest, "_")
		if ok && two {
			fill(&facts.Namespace, namespace)
			fill(&facts.Pod, pod)
			return
		}
	}
}

// decode reads a file of JSON; it tells whether there is one. Fields that are not asked for, such as the environment, are dropped.
func (c *containers) decode(name string, limit int64, into any) bool {
	text, err := c.host.read(name, limit)
	return err == nil && json.Unmarshal(text, into) == nil
}

// fill sets what is not known yet to the first text that is not empty.
func fill(field *string, texts ...string) {
	for _, text := range texts {
		if *field == "" {
			*field = valid(text)
		}
	}
}
