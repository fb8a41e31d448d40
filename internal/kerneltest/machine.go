package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	memory   = "512M"
	patience = 4 * time.Minute // for a machine from start to end; a good one takes less than half a minute

	// processor has all that qemu can emulate but cmpxchg16b, after which qemu 7.2 sometimes leaves garbage in the flags: kernels that find
	// the instruction use it, and panic.
	processor = "max,-cx16"
)

// machine is a virtual machine that boots, runs the plan in its initramfs and ends.
type machine struct {
	kernel, initramfs string
	console           io.Writer // what the kernel and the probe say
}

// run returns all that the guest reports, also when it fails. The machine is emulated: that works everywhere, and is what makes results comparable.
func (m *machine) run(ctx context.Context) (raw []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dir, err := os.MkdirTemp("", "kerneltest-*")
	if err != nil {
		return nil, fmt.Errorf("make folder for reports: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "reports")
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-machine", "q35", "-accel", "tcg", "-cpu", processor, "-smp", "1", "-m", memory, "-nodefaults", "-no-reboot", "-display", "none",
		"-serial", "stdio", "-serial", "file:"+file, // ttyS0 is the console, ttyS1 takes the reports
		"-kernel", m.kernel, "-initrd", m.initramfs, "-append", "console=ttyS0 quiet panic=-1 mitigations=off")
	var stderr bytes.Buffer
	qemu.Stdout, qemu.Stderr = m.console, &stderr
	failed := qemu.Run()
	if raw, err = os.ReadFile(file); err != nil {
		return nil, fmt.Errorf("read reports: %w", errors.Join(failed, err))
	}
	if failed != nil {
		if ctx.Err() != nil {
			failed = context.Cause(ctx)
		}
		return raw, fmt.Errorf("run machine: %w: %s", failed, bytes.TrimSpace(stderr.Bytes()))
	}
	return raw, nil
}

// readReports reads until the guest says that it is done: what ends before has crashed.
func readReports(r io.Reader) (reports []report, err error) {
	for dec := json.NewDecoder(r); ; {
		var p report
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return reports, errors.New("the machine ended before its plan did")
		}
		if err != nil {
			return reports, fmt.Errorf("read reports: %w", err)
		}
		if p.Kind == reportEnd {
			return reports, nil
		}
		reports = append(reports, p)
	}
}
