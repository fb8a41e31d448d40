package vitrine_test

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// allowed says which of our packages a package may import, tests excepted: the flow of data, from top to bottom. A trailing
// /... stands for all folders below; a package follows the first line that fits it.
var allowed = []struct{ pkg, imports string }{
	{"flow", ""},
	{"event", "flow"},
	{"event/...", "event flow"},
	{"source", "flow"},

	{"capture", "flow"},
	{"reassembly", "flow capture source"},
	{"decrypt/handshake", "flow"},
	{"decrypt/keylog", "decrypt"},
	{"decrypt", "flow decrypt/handshake"},
	{"source/sensor", "flow source capture reassembly decrypt decrypt/handshake"}, // composes them, and nothing more

	{"source/probe/hooks", "source/probe/hooks/gobinary"},
	{"source/probe/...", "flow"}, // leaves: ELF files, processes, BPF objects
	{"source/probe", "flow event source source/probe/..."},

	{"rules/...", ""}, // data
	{"source/gateway/policy", "flow rules/categories"},
	{"source/gateway/wire", "decrypt/handshake"},                                                                 // the shape of records
	{"source/gateway/identity", "source/gateway/policy source/gateway/authority source/gateway/authority/token"}, // composes them
	{"source/gateway/authority", "flow source/gateway/authority/token"},
	{"source/gateway/assembly", "flow source source/gateway source/gateway/... internal/config"}, // composes them
	{"source/gateway/...", "flow"},                                                               // leaves: certificates, addresses, requests
	{"source/gateway", "flow source decrypt/handshake source/gateway/..."},

	{"parse", "event flow"},
	{"parse/content", "parse event flow"},                                             // bodies, for all parsers that have some
	{"parse/tls", "parse event flow decrypt/handshake"},                               // TLS inside another stream has the same hellos
	{"parse/smtp", "parse parse/content parse/mail event flow"},                       // a mail looks the same in every protocol
	{"parse/all", "parse parse/..."},                                                  // the closed set, which parse itself can't import
	{"parse/parsetest", "parse event flow"},                                           // the playbook runner
	{"parse/...", "parse parse/content event flow"},                                   // pure
	{"source/sourcetest", "source capture export inspect parse/... parse event flow"}, // the contract test
	{"rules", ""}, // data
	{"detect/target", ""},
	{"detect", "event flow rules detect/target"},
	{"inspect/page", ""},
	{"inspect/altsvc", ""},
	{"inspect/frames", "flow inspect/altsvc"},
	{"inspect", "parse parse/content event flow source detect inspect/..."},

	{"enrich", "flow source"},
	{"export", "flow capture source internal/..."},
	{"export/outlet", "export source"},
	{"bus", "event internal/..."},
	{"store/storetest", "store internal/testkit"}, // a store for other packages' tests
	{"store/query", "event flow"},
	{"store/blob", "capture export flow internal/..."},
	{"store", "event flow store/query internal/..."},
	{"state", "internal/..."},
	// The probe's filter and the gateway's policies are data that people write: the server checks them by the rules of the probe and the gateway.
	{"server/...", "event event/... flow source/probe/filter source/gateway/policy source/gateway/authority rules/categories detect capture state store store/query store/blob server/... internal/..."},
	{"server", "event event/... flow source/probe/filter source/gateway/policy source/gateway/authority capture state store store/query store/blob server/... internal/..."},
	{"web", ""},

	{"internal/output", "event event/eve flow internal/terminal"}, // the command line's forms of an event
	{"internal/conformance", "event"},                             // reads what the program prints
	{"internal/...", "internal/..."},
	{"cmd/vitrine-store", "internal/..."},
	{"cmd/vitrine-agent", "event event/... flow source source/... detect inspect inspect/... parse parse/... capture decrypt decrypt/... enrich export export/... uplink internal/..."},
	{"cmd/vitrine/trust", "source/gateway/authority internal/..."}, // the gateway's rules say which root is fit to be trusted
	{"cmd/vitrine/rules", "detect internal/..."},
	{"cmd/vitrine/inline", "detect export/outlet flow inspect internal/config server/api server/gateways source source/gateway source/gateway/assembly source/gateway/authority source/gateway/pin state"},
	{"cmd/vitrine", "..."},
}

// fits tells whether a pattern of the table, or one of several, means the package.
func fits(patterns, name string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool {
		prefix, below := strings.CutSuffix(p, "...")
		return p == name || below && strings.HasPrefix(name, prefix) && name != strings.TrimSuffix(prefix, "/")
	})
}

func TestImports(t *testing.T) {
	for _, p := range ourPackages(t) {
		i := slices.IndexFunc(allowed, func(rule struct{ pkg, imports string }) bool { return fits(rule.pkg, p.path()) })
		if i < 0 {
			t.Errorf("%s has no rule: say in the table what it may import", p.path())
			continue
		}
		for _, imported := range p.Imports {
			name, ours := strings.CutPrefix(imported, module)
			if ours && !fits(allowed[i].imports, name) {
				t.Errorf("%s imports %s; it may import: %s", p.path(), name, allowed[i].imports)
			}
		}
	}
}

func TestFlowAndEventNeedOnlyTheStandardLibrary(t *testing.T) {
	for _, p := range ourPackages(t) {
		if p.path() != "flow" && p.path() != "event" {
			continue
		}
		for _, imported := range p.Imports {
			if strings.Contains(imported, ".") && !strings.HasPrefix(imported, module) {
				t.Errorf("%s imports %s", p.path(), imported)
			}
		}
	}
}

// TestProgramsStaySmall checks what is linked in the end, whoever imports it.
func TestProgramsStaySmall(t *testing.T) {
	unwanted := map[string][]string{
		"cmd/vitrine-agent": {module + "server", module + "store", module + "state", module + "web"},
		"cmd/vitrine-store": {module + "event", module + "store", module + "bus", "github.com/nats-io/nats-server/v2/server", "modernc.org/sqlite"},
	}
	for _, p := range ourPackages(t) {
		for _, dep := range unwanted[p.path()] {
			if slices.Contains(p.Deps, dep) {
				t.Errorf("%s links %s", p.path(), dep)
			}
		}
		if p.Name == "main" && slices.Contains(p.Deps, "runtime/cgo") {
			t.Errorf("%s needs cgo", p.path())
		}
	}
}

func TestTestKitsStayInTests(t *testing.T) {
	kits := []string{"internal/testkit", "parse/parsetest", "source/sourcetest", "store/storetest"}
	for _, p := range ourPackages(t) {
		for _, imported := range p.Imports {
			name := strings.TrimPrefix(imported, module)
			if slices.Contains(kits, name) && !slices.Contains(kits, p.path()) {
				t.Errorf("%s imports %s outside a test", p.path(), name)
			}
		}
		if p.Name == "main" && slices.Contains(p.Deps, "testing") {
			t.Errorf("%s links the testing package", path.Base(p.path()))
		}
	}
}
