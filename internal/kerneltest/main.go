// Command kerneltest boots Debian's kernels in emulated machines and has the probe watch real programs in each: curl, nginx,
// OpenSSL, GnuTLS, Python and Go, over HTTP/1.1 and HTTP/2, IPv4 and IPv6. It prints one table and fails unless every
// transaction was seen at both ends, with the right process and addresses.
//
//	make test-kernels
//	go run ./internal/kerneltest -kernels 5.10,newest -v
//
// It needs qemu, apt and dpkg, the Debian mirror, and 512 MB of memory; not root, and not KVM. The same program is also the first
// process inside the machine, and a client and a server there.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vitrine-ndr/vitrine/internal/debian"
)

func main() {
	if os.Getpid() == 1 {
		beInit()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "get":
		err = get(ctx, os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "serve":
		err = serveGo(os.Args[2])
	default:
		err = matrix(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kerneltest:", err)
		os.Exit(1)
	}
}

// matrix tries the probe on each kernel.
func matrix(ctx context.Context) error {
	program := flag.String("agent", "bin/vitrine-agent", "the agent, a static program")
	cache := flag.String("cache", ".cache/debian", "folder for packages")
	only := flag.String("kernels", "", "names of kernels, with commas; by default all")
	keep := flag.String("keep", "", "folder for what each machine reports, a JSON object a line")
	verbose := flag.Bool("v", false, "show the console of each machine")
	flag.Parse()
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		return errors.New("qemu is not installed: apt-get install qemu-system-x86")
	}
	m := tester{cache: *cache, console: io.Discard, keep: *keep}
	if *verbose {
		m.console = os.Stderr
	}
	dir, err := os.MkdirTemp("", "kerneltest-*")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	m.initramfs = filepath.Join(dir, "initramfs")
	if err := m.build(ctx, *program); err != nil {
		return err
	}
	good := true
	for _, k := range kernels {
		if *only == "" || slices.Contains(strings.Split(*only, ","), k.name) {
			good = m.try(ctx, k) && good
		}
	}
	if !good {
		return errors.New("the probe does not work on every kernel")
	}
	return ctx.Err()
}

// consoleLines are shown of a machine that fails: a kernel's last words take so many.
const consoleLines = 60

// tester has what all kernels share.
type tester struct {
	cache, initramfs string
	keep             string // folder for reports, or empty
	console          io.Writer
}

// try prints the rows of one kernel and tells whether they are good.
func (m *tester) try(ctx context.Context, k kernel) bool {
	image, err := k.image(ctx, m.cache)
	if k.optional && errors.Is(err, debian.ErrUnreachable) {
		fmt.Printf("%-8s not tried: %v\n", k.name, err)
		return true
	}
	if err != nil {
		fmt.Printf("%-8s %v\n", k.name, err)
		return false
	}
	started := time.Now()
	var console bytes.Buffer
	machine := machine{kernel: image, initramfs: m.initramfs, console: io.MultiWriter(&console, m.console)}
	raw, err := machine.run(ctx)
	took := time.Since(started)
	reports, incomplete := readReports(bytes.NewReader(raw))
	err = errors.Join(err, incomplete)
	if m.keep != "" {
		err = errors.Join(err, os.WriteFile(filepath.Join(m.keep, k.name+".json"), raw, 0o600),
			os.WriteFile(filepath.Join(m.keep, k.name+".console"), console.Bytes(), 0o600))
	}
	good := err == nil
	for _, r := range runs {
		v := judge(r.Name, reports)
		v.print(os.Stdout, k.name)
		good = good && v.good()
	}
	fmt.Printf("%-8s %.0f s from boot to power off\n", "", took.Seconds())
	if err != nil {
		fmt.Printf("%-8s %v\n%s", "", err, tail(console.Bytes(), consoleLines))
	}
	return good
}

// tail returns the last n lines.
func tail(text []byte, n int) []byte {
	for at := len(text); ; n-- {
		if at = bytes.LastIndexByte(text[:at], '\n'); at < 0 || n == 0 {
			return text[at+1:]
		}
	}
}
