// Command testreport makes one result of all tests. It reads the events of `go test -json` on standard input and the files that
// vitest's JSON reporter wrote, given as arguments; it prints a line for each package, the output of what failed, why tests were
// skipped, and last "N passed, N failed, N skipped". Its exit status is 1 if anything failed or a file is missing.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	r := &report{out: os.Stdout, output: map[string][]string{}}
	for _, path := range os.Args[1:] {
		r.web(path)
	}
	r.goTests(os.Stdin)
	if !r.finish() {
		os.Exit(1)
	}
}

// report counts tests; a test with parts counts as one more than its parts.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
	failures, skips         []string
	output                  map[string][]string // of running tests, by package and test
}

// goEvent is one line of `go test -json` (go doc test2json).
type goEvent struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

func (e *goEvent) key() string { return e.Package + " " + e.Test }

func (r *report) goTests(in io.Reader) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e goEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(r.out, lines.Text()) // what the go command itself says
			continue
		}
		r.event(&e)
	}
	if err := lines.Err(); err != nil {
		r.fail("go test", "its output could not be read: "+err.Error())
	}
}

func (r *report) event(e *goEvent) {
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.out, e.Output)
	case e.Action == "output":
		r.output[e.key()] = append(r.output[e.key()], e.Output)
	case e.Test != "":
		r.test(e)
	case e.Action == "pass", e.Action == "fail", e.Action == "skip":
		r.pkg(e)
	}
}

func (r *report) test(e *goEvent) {
	text := strings.Join(r.output[e.key()], "")
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.fail(e.key(), text)
	case "skip":
		r.skipped++
		r.skips = append(r.skips, e.key()+": "+reason(text))
	default:
		return
	}
	delete(r.output, e.key())
}

func (r *report) pkg(e *goEvent) {
	fmt.Fprintf(r.out, "%-4s  %s  %.1fs\n", e.Action, e.Package, e.Elapsed)
	if e.Action == "fail" {
		// A package also fails by itself: it does not build, or it ends in a panic.
		r.fail(e.Package, strings.Join(r.output[e.key()], ""))
	}
	delete(r.output, e.key())
}

// reason returns the line in which a test said why it is skipped.
func reason(output string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return "no reason given"
}

func (r *report) fail(name, text string) {
	r.failed++
	r.failures = append(r.failures, name)
	fmt.Fprintf(r.out, "FAIL  %s\n%s", name, text)
}

// webResult is what vitest's JSON reporter writes.
type webResult struct {
	Passed  int  `json:"numPassedTests"`
	Failed  int  `json:"numFailedTests"`
	Pending int  `json:"numPendingTests"`
	Success bool `json:"success"`
}

func (r *report) web(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		r.fail(path, "the tests of the console did not run: "+err.Error()+"\n")
		return
	}
	var w webResult
	if err := json.Unmarshal(text, &w); err != nil {
		r.fail(path, "the result of the console's tests can't be read: "+err.Error()+"\n")
		return
	}
	r.passed += w.Passed
	r.failed += w.Failed
	if w.Pending > 0 {
		r.skipped += w.Pending
		r.skips = append(r.skips, fmt.Sprintf("%s: %d tests of the console", path, w.Pending))
	}
	if w.Failed > 0 || !w.Success {
		r.failures = append(r.failures, path)
	}
	if w.Failed == 0 && !w.Success {
		r.failed++ // a file of tests that could not be loaded
	}
}

// finish prints the totals and returns whether all went well.
func (r *report) finish() bool {
	for _, s := range r.skips {
		fmt.Fprintln(r.out, "skipped ", s)
	}
	for _, f := range r.failures {
		fmt.Fprintln(r.out, "failed  ", f)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return r.failed == 0 && r.passed > 0
}
