package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// stranger is the user whose programs are watched, agentUser the one that watches.
const stranger, agentUser = 64001, 64002

// capabilities are those that the service is given.
func capabilities(t *testing.T) []string {
	t.Helper()
	unit, err := os.ReadFile("../../deploy/vitrine-agent.service")
	if err != nil {
		t.Fatal(err)
	}
	var sets [][]string
	for _, m := range regexp.MustCompile(`(?m)^(?:AmbientCapabilities|CapabilityBoundingSet)=(.*)$`).FindAllSubmatch(unit, -1) {
		sets = append(sets, strings.Fields(strings.ToLower(strings.ReplaceAll(string(m[1]), "CAP_", ""))))
	}
	if len(sets) != 2 || !slices.Equal(sets[0], sets[1]) {
		t.Fatalf("the service's capabilities are %q", sets)
	}
	return sets[0]
}

// TestDeploymentsAgree compares what the service, Kubernetes and the manual say.
func TestDeploymentsAgree(t *testing.T) {
	want := capabilities(t)
	file, err := os.ReadFile("../../deploy/vitrine-agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Kind string
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						SecurityContext struct {
							Privileged   bool
							Capabilities struct{ Add, Drop []string }
						} `yaml:"securityContext"`
					}
				}
			}
		}
	}
	found := false
	for dec := yaml.NewDecoder(bytes.NewReader(file)); ; {
		var o object
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, c := range o.Spec.Template.Spec.Containers {
			found = true
			var got []string
			for _, name := range c.SecurityContext.Capabilities.Add {
				got = append(got, strings.ToLower(name))
			}
			if diff := cmp.Diff(want, got); diff != "" || c.SecurityContext.Privileged || !slices.Equal(c.SecurityContext.Capabilities.Drop, []string{"ALL"}) {
				t.Errorf("Kubernetes: %+v\n%s", c.SecurityContext, diff)
			}
		}
	}
	if !found {
		t.Error("no container in the manifest")
	}
	manual, err := os.ReadFile("../../docs/probe-permissions.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range want {
		if !strings.Contains(string(manual), "`CAP_"+strings.ToUpper(name)+"`") {
			t.Errorf("the manual does not explain %s", name)
		}
	}
}

// TestLeastCapabilities runs the probe as a user without rights, with the service's capabilities, and with one fewer each.
func TestLeastCapabilities(t *testing.T) {
	all := capabilities(t)
	agent := filepath.Join(t.TempDir(), "vitrine-agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", agent, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if os.Geteuid() != 0 {
		testkit.Skip(t, "only root can give capabilities")
	}
	for dir := filepath.Dir(agent); dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil {
			t.Fatal(err)
		} else if info.Mode()&0o001 == 0 {
			if err := os.Chmod(dir, info.Mode()|0o001); err != nil {
				t.Fatal(err)
			}
		}
	}
	homely, jailed := startStrangers(t)
	for without, want := range map[string]seen{
		"none":               {host: true, home: true, jail: true},
		"bpf":                {},
		"perfmon":            {},
		"dac_read_search":    {}, // a user cannot read the kernel's list of tracepoints
		"sys_ptrace":         {host: true},
		"checkpoint_restore": {host: true, home: true},
	} {
		t.Run("without "+without, func(t *testing.T) {
			t.Parallel()
			has := slices.DeleteFunc(slices.Clone(all), func(c string) bool { return c == without })
			if got := watch(t, agent, has, homely, jailed); got != want {
				t.Errorf("saw %+v, want %+v", got, want)
			}
		})
	}
}

// seen is what a probe saw: programs with the host's library, with a library of a user's own, and in a root folder of their own.
type seen struct{ host, home, jail bool }

// startStrangers starts two servers of a stranger, each with libraries of its own, and returns their addresses.
func startStrangers(t *testing.T) (home, jail string) {
	t.Helper()
	dir := t.TempDir()
	openssl := testkit.Need(t, "openssl")
	out, err := exec.CommandContext(t.Context(), testkit.Need(t, "ldd"), openssl).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := append(regexp.MustCompile(`/\S+`).FindAllString(string(out), -1), openssl)
	certificate(t, dir)
	files = append(files, filepath.Join(dir, "key.pem"), filepath.Join(dir, "certificate.pem"))
	folders := [2]string{filepath.Join(dir, "home"), filepath.Join(dir, "jail")}
	for _, folder := range folders {
		for _, file := range files {
			copyTo(t, file, filepath.Join(folder, file))
		}
		if err := os.Chmod(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(folder, stranger, stranger); err != nil {
			t.Fatal(err)
		}
	}
	for dir := dir; dir != "/"; dir = filepath.Dir(dir) { // so that the stranger gets at its own folder
		info, err := os.Stat(dir)
		if err == nil {
			err = os.Chmod(dir, info.Mode()|0o011)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	serve := func(root, below string) string {
		address := freeAddress(t)
		cmd := exec.CommandContext(t.Context(), below+openssl, "s_server", "-www", "-quiet", "-accept", address,
			"-key", below+dir+"/key.pem", "-cert", below+dir+"/certificate.pem")
		cmd.Dir = "/"
		cmd.Env = []string{"LD_LIBRARY_PATH=" + libraryPath(files, below)}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
		start(t, cmd)
		return address
	}
	return serve("", folders[0]), serve(folders[1], "")
}

func libraryPath(files []string, below string) string {
	var folders []string
	for _, f := range files {
		if folder := below + filepath.Dir(f); strings.Contains(filepath.Base(f), ".so") && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	return strings.Join(folders, ":")
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts a server and ends it with the test.
func start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// watch runs the probe with some capabilities only, talks to both servers, and tells what the probe saw of that.
func watch(t *testing.T, agent string, capabilities []string, home, jail string) (got seen) {
	t.Helper()
	needTracefs(t)
	set := "-all"
	for _, c := range capabilities {
		set += ",+" + c
	}
	id := fmt.Sprint(agentUser)
	cmd := exec.CommandContext(t.Context(), testkit.Need(t, "setpriv"), "--reuid", id, "--regid", id, "--clear-groups", "--no-new-privs",
		"--bounding-set", set, "--inh-caps", set, "--ambient-caps", set, agent, "probe", "-o", "json")
	cmd.Dir = "/"
	events, watching := &collector{}, make(chan struct{})
	cmd.Stdout, cmd.Stderr = events, &announcement{said: watching, text: "watching"}
	ended := make(chan struct{})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
	}()
	select {
	case <-ended:
		return got
	case <-watching:
	case <-time.After(time.Minute):
		t.Fatal("the probe did not start")
	}
	name := strings.ReplaceAll(t.Name(), " ", "-")
	deadline := time.Now().Add(20 * time.Second)
	for round := 0; got != (seen{true, true, true}) && round < 3 && time.Now().Before(deadline); round++ {
		for where, address := range map[string]string{"home": home, "jail": jail} {
			curl := exec.CommandContext(t.Context(), testkit.Need(t, "curl"), "-sSk", "--max-time", "10", "-o", os.DevNull, fmt.Sprintf("https://%s/%s-%s", address, where, name))
			if out, err := curl.CombinedOutput(); err != nil {
				t.Fatalf("curl: %v: %s", err, out)
			}
		}
		time.Sleep(time.Second)
		got = seen{host: events.has("client", "-"+name), home: events.has("server", "/home-"+name), jail: events.has("server", "/jail-"+name)}
	}
	return got
}

// needTracefs gives the test, and what it starts, the kernel's list of tracepoints where the machine has not mounted it.
func needTracefs(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/sys/kernel/tracing/events"); err == nil {
		return
	}
	runtime.LockOSThread() // for good: the thread ends with the test, and the namespace with it
	for _, do := range []func() error{
		func() error { return unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS) },
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, "mode=0700") },
	} {
		err := do()
		testkit.SkipIfNotSupported(t, err)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// collector keeps the events that a probe prints.
type collector struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *collector) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(b)
}

// has tells whether a transaction came that was seen in one of its programs, and whose URL ends like that.
func (c *collector) has(local, url string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for lines := bufio.NewScanner(bytes.NewReader(c.text.Bytes())); lines.Scan(); {
		var e struct {
			Local string
			HTTP  struct{ URL string }
		}
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Local == local && strings.HasSuffix(e.HTTP.URL, url) {
			return true
		}
	}
	return false
}

// announcement closes a channel once a program has said something.
type announcement struct {
	said chan struct{}
	text string
	all  bytes.Buffer
}

func (a *announcement) Write(b []byte) (int, error) {
	before := strings.Contains(a.all.String(), a.text)
	a.all.Write(b)
	if !before && strings.Contains(a.all.String(), a.text) {
		close(a.said)
	}
	return len(b), nil
}
