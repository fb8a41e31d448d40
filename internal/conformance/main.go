// Command conformance judges Vitrine by other projects' test data: it replays each capture of a folder with `vitrine replay` and
// compares the events with what that project's own tests expect. It prints a line for each check and, last, "N passed, N failed, N
// skipped"; its exit status is 1 if one failed. It knows captures and expectations by name, and nothing of how Vitrine works.
//
//	go run ./internal/conformance -vitrine bin/vitrine DIR
//
// DIR has the folders captures, keys and baseline of the Wireshark release's test suite.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
)

func main() {
	program := flag.String("vitrine", "bin/vitrine", "the program to judge")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "conformance: want one folder")
		os.Exit(2)
	}
	r := runner{program: *program, dir: flag.Arg(0)}
	for _, c := range checks {
		r.run(&c)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	if r.failed > 0 || r.passed == 0 {
		os.Exit(1)
	}
}

type runner struct {
	program, dir            string
	passed, failed, skipped int
}

func (r *runner) run(c *check) {
	path := filepath.Join(r.dir, "captures", c.capture)
	_, missing := os.Stat(path)
	switch {
	case c.skip != "":
		r.skipped++
		fmt.Printf("skip  %s: %s\n", c.name, c.skip)
	case missing != nil:
		r.skipped++
		fmt.Printf("skip  %s: %v\n", c.name, missing)
	default:
		if err := r.judge(c, path); err != nil {
			r.failed++
			fmt.Printf("FAIL  %s: %v\n", c.name, err)
			return
		}
		r.passed++
		fmt.Printf("pass  %s\n", c.name)
	}
}

func (r *runner) judge(c *check, path string) error {
	args := []string{"replay", "-o", "json"}
	if c.keys != "" {
		args = append(args, "--keylog", filepath.Join(r.dir, "keys", c.keys))
	}
	cmd := exec.Command(r.program, append(args, path)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	var records []*event.Record
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		rec := new(event.Record)
		if err := dec.Decode(rec); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		records = append(records, rec)
	}
	if c.golden != "" {
		return checkCommunityIDs(records, filepath.Join(r.dir, "baseline", c.golden))
	}
	return checkFacts(c.want, records)
}

// checkFacts wants each expected fact as often as it is expected.
func checkFacts(want []string, records []*event.Record) error {
	var have []string
	for _, r := range records {
		have = append(have, facts(r)...)
	}
	for _, w := range want {
		i := -1
		for k, h := range have {
			if matches(w, h) {
				i = k
				break
			}
		}
		if i < 0 {
			return fmt.Errorf("no %q", w)
		}
		have[i] = ""
	}
	return nil
}

// facts are what a check may want of an event.
func facts(r *event.Record) (out []string) {
	if h := r.HTTP; h != nil {
		out = append(out, fmt.Sprintf("http %s %s%s %d", h.Method, h.Host, h.URL, h.Status))
		for _, m := range []*event.Message{h.Request, h.Response} {
			if m != nil && len(m.Body) > 0 {
				out = append(out, "body "+string(m.Body))
			}
		}
	}
	if w := r.WebSocket; w != nil {
		out = append(out, fmt.Sprintf("websocket %s %s %s", w.Direction, w.Opcode, w.Body))
	}
	if f := r.File; f != nil {
		out = append(out, fmt.Sprintf("file %s %d %s", f.Type, f.Size, f.State))
	}
	if d := r.DNS; d != nil {
		out = append(out, strings.Join(append([]string{"dns", d.Type, d.Name, d.Code}, d.Addresses...), " "))
	}
	if r.Kind == event.KindTLS {
		out = append(out, fmt.Sprintf("tls %s %s %s", r.State, r.TLS.Version, r.TLS.Cipher))
	}
	return out
}

// matches compares with a pattern in which * stands for any text.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// checkCommunityIDs wants every Community ID that we make among those of the golden file.
func checkCommunityIDs(records []*event.Record, golden string) error {
	text, err := os.ReadFile(golden)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, id := range strings.Fields(string(text)) {
		known[id] = true
	}
	found := 0
	for _, r := range records {
		if r.CommunityID == "" {
			continue
		}
		if !known[r.CommunityID] {
			return fmt.Errorf("%s is not among those of %s", r.CommunityID, golden)
		}
		found++
	}
	if found == 0 {
		return errors.New("no event has a Community ID")
	}
	return nil
}
