package main_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/internal/testkit"
	"github.com/vitrine-ndr/vitrine/server/api"
)

// TestProbeBesideSensor watches curl and nginx talk with both vantage points and no key: the requests come from the probe, the connection
// is told once, by the sensor, and has the process.
func TestProbeBesideSensor(t *testing.T) {
	shop := newShop(t)
	data := t.TempDir()
	up := startUpIn(t, shop.server, data, "--iface", shop.server.Interface, "--no-probe=false")
	shop.keyLog = os.DevNull
	if !strings.Contains(up.announced, "seeing into this machine's programs") {
		t.Fatalf("announced:\n%s", up.announced)
	}
	up.awaitCovered(t, "nginx")
	shop.curl(t, "--http1.1", "https://shop.example/x.json?with=probe")

	request := up.await(t, `vantage:probe and local:client and http.url:"/x.json?with=probe"`)
	if request.Process == nil || request.Process.Name != "curl" || request.HTTP.Status != 200 {
		t.Errorf("the client's request: %+v of %+v", request.HTTP, request.Process)
	}
	tls := up.await(t, `kind:tls and community_id:"`+request.CommunityID+`"`)
	if tls.Decryption != (flow.Decryption{State: flow.DecryptedYes, Source: flow.FromProbe}) || tls.TLS.SNI != "shop.example" || tls.Vantage != event.Sensor {
		t.Errorf("the connection: %+v %+v by the %s", tls.Decryption, tls.TLS, tls.Vantage)
	}
	conn := up.await(t, `kind:conn and community_id:"`+request.CommunityID+`"`)
	if conn.Process == nil || conn.Process.Name != "curl" || conn.Conn.PacketsToServer == 0 {
		t.Errorf("the end: %+v of %+v", conn.Conn, conn.Process)
	}
	for query, want := range map[string]int{`kind:conn`: 1, `kind:tls`: 1, `kind:http and local:client`: 1, `kind:http and local:server`: 1} {
		if got := len(up.find(t, query+` and community_id:"`+request.CommunityID+`"`)); got != want {
			t.Errorf("%s: %d events, want %d", query, got, want)
		}
	}
	up.stop(t)
}

// TestUpWithoutProbe starts vitrine up where the probe cannot start: with process ids of its own, as in a container. The rest runs.
func TestUpWithoutProbe(t *testing.T) {
	if os.Geteuid() != 0 {
		testkit.Skip(t, "process ids of its own need root")
	}
	dir := t.TempDir()
	cmd := upCommand(t, dir, "--no-probe=false")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	up := startInstance(t, dir, cmd)
	var probe api.Probe
	waitFor(t, "the end of the probe", func() bool {
		up.ask(t, http.MethodGet, "/api/v1/probe", "", nil, &probe)
		return probe.State == "off"
	})
	var system api.System
	up.ask(t, http.MethodGet, "/api/v1/system", "", nil, &system)
	role := slices.IndexFunc(system.Roles, func(r api.RoleOf) bool { return r.Name == "probe" })
	const reason = "process ids of its own"
	if r := system.Roles[role]; r.On || !strings.Contains(r.Why, reason) || !strings.Contains(probe.Detail, reason) || r.Off != api.OwnProcessIDs || probe.Off != api.OwnProcessIDs {
		t.Errorf("the role is %+v, the probe %+v", r, probe)
	}
	id := up.importCapture(t, plainCapture(t, 3), nil)
	if state, message := up.waitImport(t, id); state != "done" {
		t.Fatalf("the import is %s: %s", state, message)
	}
	wantURLs(t, up, id, 3)
	up.stop(t)
}

// awaitCovered waits until the probe sees into a program.
func (i *instance) awaitCovered(t testing.TB, name string) {
	t.Helper()
	waitFor(t, "coverage of "+name, func() bool {
		return len(i.find(t, `kind:coverage and coverage.state:covered and process.name:`+name)) > 0
	})
}

// find returns the events that match now.
func (i *instance) find(t testing.TB, query string) (found []*event.Record) {
	t.Helper()
	time.Sleep(100 * time.Millisecond) // for those on their way
	cmd := i.namespace.Command(t.Context(), vitrine(t), "search", query, "-o", "json")
	cmd.Env = append(os.Environ(), "VITRINE_DATA="+i.dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		r := new(event.Record)
		if err := json.Unmarshal([]byte(line), r); err != nil {
			t.Fatal(err)
		}
		found = append(found, r)
	}
	return found
}
