package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	planFile    = "/test/plan.json"
	reportsFile = "/dev/ttyS1"
	clientTime  = 60 * time.Second // emulation is slow
	startTime   = 60 * time.Second
	settleTime  = 2 * time.Second // for the last events of a run
	readyWords  = "watching"      // what the probe says once everything that runs is hooked
)

// guest is the machine's first process. It carries out the plan and switches the machine off.
type guest struct {
	mu      sync.Mutex // guards reports
	reports *json.Encoder
}

// beInit never returns: what a first process returns to is a kernel panic.
func beInit() {
	g := &guest{reports: json.NewEncoder(io.Discard)}
	if err := g.main(); err != nil {
		fmt.Println("guest:", err)
		g.report(report{Kind: reportFailed, Text: err.Error()})
	}
	g.report(report{Kind: reportEnd})
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("switch off:", err)
	}
	select {}
}

func (g *guest) report(r report) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.reports.Encode(r); err != nil {
		fmt.Println("report:", err)
	}
}

func (g *guest) main() error {
	if err := mount(); err != nil {
		return err
	}
	reports, err := os.OpenFile(reportsFile, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open serial line: %w", err)
	}
	if err := makeRaw(reports); err != nil {
		return err
	}
	g.reports = json.NewEncoder(reports)
	text, err := os.ReadFile(planFile)
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	var p plan
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	if err := seed(p.Seed); err != nil {
		return err
	}
	if err := raiseLoopback(); err != nil {
		return err
	}
	return g.carryOut(&p)
}

func (g *guest) carryOut(p *plan) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("ask for the kernel's release: %w", err)
	}
	g.report(report{Kind: reportKernel, Text: unix.ByteSliceToString(u.Release[:])})
	f, err := kernelFeatures()
	if err != nil {
		return err
	}
	g.report(report{Kind: reportFeatures, Features: f})
	for _, s := range p.Servers {
		if err := serve(s); err != nil {
			return fmt.Errorf("start %s: %w", s.Name, err)
		}
	}
	for _, r := range p.Runs {
		if err := g.run(r, p.Clients); err != nil {
			return fmt.Errorf("run %s: %w", r.Name, err)
		}
	}
	return nil
}

// serve starts a server and waits until it can be reached.
func serve(s command) error {
	cmd := exec.Command(s.Args[0], s.Args[1:]...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(startTime); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.Listens)
		if err == nil {
			return conn.Close()
		}
	}
	return errors.New("it never listened")
}

// run starts the probe, lets each client do its work, and stops the probe.
func (g *guest) run(r run, clients []command) error {
	started := time.Now()
	probe := exec.Command(r.Probe[0], r.Probe[1:]...)
	stdout, err := probe.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start probe: %w", err)
	}
	stderr, err := probe.StderrPipe()
	if err != nil {
		return fmt.Errorf("start probe: %w", err)
	}
	if err := probe.Start(); err != nil {
		return fmt.Errorf("start probe: %w", err)
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() { g.events(r.Name, stdout) })
	readers.Go(func() { g.log(r.Name, stderr, ready) })
	go func() {
		readers.Wait()
		close(ended)
	}()
	select {
	case <-ready:
		g.report(report{Kind: reportReady, Run: r.Name, Seconds: time.Since(started).Seconds()})
		for _, c := range clients {
			g.report(client(r.Name, c))
		}
		time.Sleep(settleTime)
	case <-ended:
	case <-time.After(startTime):
	}
	stopping := time.Now()
	_ = probe.Process.Signal(unix.SIGTERM) // unless it has ended
	<-ended
	_ = probe.Wait() // the status says it
	g.report(report{Kind: reportStopped, Run: r.Name, Status: probe.ProcessState.ExitCode(), Seconds: time.Since(stopping).Seconds()})
	return nil
}

// events passes on what the probe writes.
func (g *guest) events(run string, stdout io.Reader) {
	for lines := bufio.NewReader(stdout); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		if json.Valid(line) {
			g.report(report{Kind: reportEvent, Run: run, Event: line})
		} else {
			g.report(report{Kind: reportLog, Run: run, Text: "not JSON: " + string(line)})
		}
	}
}

// log passes on what the probe logs, and closes ready once the probe says that it is.
func (g *guest) log(run string, stderr io.Reader, ready chan<- struct{}) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		fmt.Println(lines.Text())
		g.report(report{Kind: reportLog, Run: run, Text: lines.Text()})
		if ready != nil && strings.Contains(lines.Text(), readyWords) {
			close(ready)
			ready = nil
		}
	}
}

// client runs a client to its end.
func client(run string, c command) report {
	ctx, cancel := context.WithTimeout(context.Background(), clientTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	if c.Stdin != "" {
		cmd.Stdin = strings.NewReader(c.Stdin)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	r := report{Kind: reportClient, Run: run, Name: c.Name}
	if err := cmd.Run(); err != nil {
		r.Status, r.Text = -1, fmt.Sprintf("%v: %s", err, stderr.Bytes())
	}
	if cmd.Process != nil {
		r.PID = cmd.Process.Pid
	}
	r.Output = stdout.String()
	return r
}
