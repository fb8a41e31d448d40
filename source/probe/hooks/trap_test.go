package hooks

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// trapped calls one of its functions a hundred thousand times, and prints what a call takes in ns.
const trapped = `
#include <stdio.h>
#include <string.h>
#include <time.h>
__attribute__((naked, noinline)) void emulated(void) { __asm__("push %rbx; pop %rbx; ret"); }
__attribute__((naked, noinline)) void stepped(void) { __asm__("sub $8, %rsp; add $8, %rsp; ret"); }
int main(int argc, char **argv)
{
	void (*f)(void) = strcmp(argv[1], "emulated") ? stepped : emulated;
	struct timespec from, to;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 100000; i++) f();
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%g", ((to.tv_sec - from.tv_sec) * 1e9 + to.tv_nsec - from.tv_nsec) / 1e5);
}
`

// BenchmarkTrap measures what a hook costs on this machine before any program of ours has run: at an instruction that the kernel emulates, at
// one that it must step over, and with a return probe. All other figures of the probe are to be seen beside these.
func BenchmarkTrap(b *testing.B) {
	dir := b.TempDir()
	source, program := filepath.Join(dir, "trapped.c"), filepath.Join(dir, "trapped")
	if err := os.WriteFile(source, []byte(trapped), 0o600); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command(testkit.Need(b, "gcc"), "-O1", "-o", program, source).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	nothing, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.Kprobe, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	testkit.SkipIfNotSupported(b, err)
	if err != nil {
		b.Fatal(err)
	}
	defer nothing.Close()
	file, err := link.OpenExecutable(program)
	if err != nil {
		b.Fatal(err)
	}
	type put func(symbol string, program *ebpf.Program, options *link.UprobeOptions) (link.Link, error)
	for _, c := range []struct {
		name, function string
		hooks          []put
	}{
		{"emulated", "emulated", []put{file.Uprobe}},
		{"stepped", "stepped", []put{file.Uprobe}},
		{"emulated and return", "emulated", []put{file.Uprobe, file.Uretprobe}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for _, hook := range c.hooks {
				l, err := hook(c.function, nothing, nil)
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
			}
			var each []float64
			for b.Loop() {
				out, err := exec.Command(program, c.function).Output()
				ns, parse := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
				if err != nil || parse != nil {
					b.Fatal(err, parse)
				}
				each = append(each, ns)
			}
			b.ReportMetric(testkit.Median(each), "ns/call")
		})
	}
}
