package bpf

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
)

// TestObjectsAreFresh finds objects that were not compiled anew after a change of their C: go generate notes the sums of both.
func TestObjectsAreFresh(t *testing.T) {
	t.Parallel()
	noted, err := os.ReadFile("objects.sum")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"bpf.go"}
	for _, pattern := range []string{"*.c", "*.h", "*.o"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	var sums strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), f)
	}
	if diff := cmp.Diff(sorted(string(noted)), sorted(sums.String())); diff != "" {
		t.Errorf("run make generate (-as generated, +as it is):\n%s", diff)
	}
}

// sorted orders the lines of sums by file.
func sorted(sums string) []string {
	lines := strings.Split(strings.TrimSpace(sums), "\n")
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return lines
}

// Limits of kernels before 5.2: Linux 4.18, include/uapi/linux/bpf.h and include/linux/bpf_verifier.h.
const (
	lastHelper   = asm.FnGetCurrentCgroupId
	instructions = 4096
)

// TestLegacyIsForOldKernels finds what Linux 4.18 does not take. Only its verifier knows all: make test-kernels asks it.
func TestLegacyIsForOldKernels(t *testing.T) {
	t.Parallel()
	legacy, err := LoadLegacy()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range legacy.Maps {
		if m.Type == ebpf.RingBuf || m.Type > ebpf.SockHash || strings.HasPrefix(name, ".") {
			t.Errorf("map %s is of a kind that 4.18 does not have: %s", name, m.Type)
		}
	}
	if len(legacy.Programs) < 10 {
		t.Errorf("only %d programs", len(legacy.Programs))
	}
	for name, p := range legacy.Programs {
		if n := len(p.Instructions); n > instructions {
			t.Errorf("%s has %d instructions", name, n)
		}
		for i, ins := range p.Instructions {
			if ins.IsBuiltinCall() && asm.BuiltinFunc(ins.Constant) > lastHelper {
				t.Errorf("%s: instruction %d calls %v", name, i, asm.BuiltinFunc(ins.Constant))
			}
			if ins.OpCode.Class() == asm.Jump32Class {
				t.Errorf("%s: instruction %d is a 32-bit jump", name, i)
			}
		}
	}
}

// TestProgramsHaveTheirOwnStack finds programs on uprobes without a tail call: kernels since 6.13 let those share a stack with others that
// preempt them.
func TestProgramsHaveTheirOwnStack(t *testing.T) {
	t.Parallel()
	for object, load := range map[string]func() (*ebpf.CollectionSpec, error){"modern": LoadModern, "legacy": LoadLegacy} {
		spec, err := load()
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range spec.Programs {
			tailCall := func(ins asm.Instruction) bool {
				return ins.IsBuiltinCall() && asm.BuiltinFunc(ins.Constant) == asm.FnTailCall
			}
			if strings.HasPrefix(p.SectionName, "uprobe/") && !slices.ContainsFunc(p.Instructions, tailCall) {
				t.Errorf("%s: %s has no tail call", object, name)
			}
		}
	}
}
