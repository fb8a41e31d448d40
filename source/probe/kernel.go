package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"github.com/vitrine-ndr/vitrine/source/probe/bpf"
	"github.com/vitrine-ndr/vitrine/source/probe/tracefs"
)

// Capability is something that the kernel offers or not, and what comes of it.
type Capability struct {
	Name      string
	Available bool
	Lack      Lack   // why it is not there; empty if only the detail tells
	Detail    string // what is used instead, or why it is not there
}

// Lack says why there is no Capability.
type Lack string

const (
	LackConfigured Lack = "configured"          // the configuration turns it off
	LackTypes      Lack = "no_type_information" // the kernel has no type information
	LackSupport    Lack = "unsupported"         // the kernel, or the form of the programs that it takes, has no such thing
)

// kernel is the probe's programs in the kernel, and what it can do with them.
type kernel struct {
	programs     *ebpf.Collection
	feed         feed
	modern       bool // ring buffer and type information
	multi        bool // one link attaches many points
	capabilities []Capability
	tracepoints  []link.Link
}

// loadKernel loads the programs. Nothing runs yet.
func loadKernel(legacy, single bool) (*kernel, error) {
	_ = rlimit.RemoveMemlock() // kernels before 5.11 count maps against it; where that is refused, loading tells
	k := new(kernel)
	multi := !single && features.HaveBPFLinkUprobeMulti() == nil // kernels from 5.15 on load such programs, but attach them only from 6.6 on
	lack, why := LackConfigured, "turned off by the configuration"
	if !legacy {
		if _, err := btf.LoadKernelSpec(); err != nil {
			lack, why = LackTypes, "the kernel has no type information"
		} else if err := k.load(bpf.LoadModern, multi); err != nil {
			lack, why = "", err.Error()
		} else {
			k.modern = true
		}
	}
	if !k.modern {
		if err := k.load(bpf.LoadLegacy, multi); err != nil {
			return nil, fmt.Errorf("load programs into the kernel: %w", err)
		}
	}
	k.note("ring buffer", k.modern, lack, "a buffer for each processor is used instead: "+why)
	k.note("type information", k.modern, lack, "the addresses of connections are known once those were read from: "+why)
	if lack = LackSupport; legacy || single {
		lack = LackConfigured
	}
	k.note("multi-uprobe", k.multi, lack, "hooks are put one by one, which takes longer")
	return k, nil
}

func (k *kernel) note(name string, available bool, lack Lack, otherwise string) {
	c := Capability{Name: name, Available: available}
	if !available {
		c.Lack, c.Detail = lack, otherwise
	}
	k.capabilities = append(k.capabilities, c)
}

// load tries to load the programs in the form that attaches many points at once, and then in the other one.
func (k *kernel) load(spec func() (*ebpf.CollectionSpec, error), multi bool) error {
	for _, k.multi = range []bool{true, false} {
		if k.multi && !multi {
			continue
		}
		s, err := spec()
		if err != nil {
			return err
		}
		if k.multi && s.Programs["enter_any"] == nil {
			continue // programs for old kernels have no such form
		}
		for name, p := range s.Programs {
			if !strings.HasPrefix(p.SectionName, "uprobe/") {
				continue
			}
			if k.multi {
				p.AttachType = ebpf.AttachTraceUprobeMulti
			} else if name == "enter_any" {
				delete(s.Programs, name)
			}
		}
		if k.programs, err = ebpf.NewCollection(s); err == nil {
			return k.open()
		} else if !k.multi {
			return err
		}
	}
	return errors.New("no form of the programs was tried")
}

// open prepares what the programs need before they run.
func (k *kernel) open() (err error) {
	for i, name := range []string{"leave", "go_again", "leave_pieces"} {
		if err = k.programs.Maps["again"].Put(uint32(i), k.programs.Programs[name]); err != nil {
			return errors.Join(fmt.Errorf("prepare long calls: %w", err), k.Close())
		}
	}
	newFeed := newPerfFeed
	if k.programs.Maps["events"].Type() == ebpf.RingBuf {
		newFeed = newRingFeed
	}
	if k.feed, err = newFeed(k.programs.Maps["events"]); err != nil {
		return errors.Join(fmt.Errorf("open the buffer of records: %w", err), k.Close())
	}
	return nil
}

// watch attaches the programs that see syscalls, sockets and processes.
func (k *kernel) watch() error { return tracefs.With(k.attachTracepoints) }

// describeReads tells the programs for kernels without type information where the addresses of sockets are: struct layout of
// bpf/descriptors.h.
func (k *kernel) describeReads() error {
	m := k.programs.Maps["layouts"]
	if m == nil {
		return nil
	}
	layout, err := tracefs.Offsets("tcp/tcp_rcv_space_adjust", "sport", "dport", "saddr_v6", "daddr_v6")
	if err != nil {
		return err
	}
	return m.Update(uint32(0), layout, ebpf.UpdateAny)
}

func (k *kernel) attachTracepoints() error {
	if err := k.describeReads(); err != nil {
		return err
	}
	for _, p := range tracepoints {
		program := k.programs.Programs[p.program]
		if program == nil {
			continue // the programs for other kernels have it
		}
		var l link.Link
		var err error
		if p.group == "" {
			l, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: p.name, Program: program})
		} else {
			l, err = link.Tracepoint(p.group, p.name, program, nil)
		}
		if err != nil {
			k.unwatch()
			return fmt.Errorf("watch %s: %w", p.name, err)
		}
		k.tracepoints = append(k.tracepoints, l)
	}
	return nil
}

func (k *kernel) unwatch() {
	_ = attachment(k.tracepoints).detach() // they are gone with this program, if not now
	k.tracepoints = nil
}

func (k *kernel) Close() error {
	k.unwatch()
	var err error
	if k.feed != nil {
		err = k.feed.Close()
	}
	if k.programs != nil {
		k.programs.Close()
	}
	return err
}

// judge sets the verdict on a process: enum verdict of bpf/state.h.
func (k *kernel) judge(pid int, verdict uint32) error {
	type entry struct{ Verdict, MemoryBIO uint32 } // struct process
	m, key, e := k.programs.Maps["processes"], uint32(pid), entry{}
	if err := m.Lookup(key, &e); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	e.Verdict = verdict
	return m.Update(key, &e, ebpf.UpdateAny)
}

// executed returns the path that a process was last made to run, as whoever did that wrote it, or "" if that is not known: the kernel
// remembers it beyond the end of the process.
func (k *kernel) executed(pid int) string {
	var path [128]byte // struct path
	if err := k.programs.Maps["executed"].Lookup(uint32(pid), &path); err != nil || path[len(path)-2] != 0 {
		return ""
	}
	return strings.ToValidUTF8(cString(path[:]), "\uFFFD")
}

// mute has the kernel pass over a connection.
func (k *kernel) mute(handle uint64) error {
	return k.programs.Maps["muted"].Update(handle, uint8(1), ebpf.UpdateAny)
}

// forget drops what the programs remember of processes, calls and connections: it is no longer true once they have looked away. They must
// not run meanwhile.
func (k *kernel) forget() error {
	var errs []error
	for _, name := range []string{"processes", "executed", "calls", "go_reads", "go_writes", "handles", "owners", "roles", "muted", "readings", "arrivals",
		"mappings", "reads", "descriptors", "sockets"} {
		errs = append(errs, k.clear(name, func([]byte) bool { return true }))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return k.passOver()
}

// forgetProcesses drops calls and connections of processes in which there are no hooks any more: how they have ended was not seen.
func (k *kernel) forgetProcesses(pids map[int]bool) error {
	return errors.Join(
		k.clear("calls", func(key []byte) bool { return pids[int(binary.NativeEndian.Uint64(key)>>32)] }),   // pid_tgid
		k.clear("handles", func(key []byte) bool { return pids[int(binary.NativeEndian.Uint64(key[8:]))] }), // struct handle_key
	)
}

// clear drops the entries of a map whose keys fit. Not all kernels have programs with every map.
func (k *kernel) clear(name string, fits func(key []byte) bool) error {
	m := k.programs.Maps[name]
	if m == nil {
		return nil
	}
	var keys [][]byte
	var key, value []byte
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		if fits(key) {
			keys = append(keys, slices.Clone(key))
		}
	}
	if err := entries.Err(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for _, key := range keys {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("clear %s: %w", name, err)
		}
	}
	return nil
}

// passOver leaves the probe itself out.
func (k *kernel) passOver() error {
	const drop = 2 // enum verdict of bpf/state.h
	if err := k.judge(os.Getpid(), drop); err != nil {
		return fmt.Errorf("leave the probe itself out: %w", err)
	}
	return nil
}

// tracepoints are where the kernel itself tells of something. A raw one has no group.
var tracepoints = []struct{ group, name, program string }{
	{"syscalls", "sys_enter_read", "enter_read"},
	{"syscalls", "sys_enter_readv", "enter_readv"},
	{"syscalls", "sys_enter_recvfrom", "enter_recvfrom"},
	{"syscalls", "sys_enter_recvmsg", "enter_recvmsg"},
	{"syscalls", "sys_enter_write", "enter_write"},
	{"syscalls", "sys_enter_writev", "enter_writev"},
	{"syscalls", "sys_enter_sendto", "enter_sendto"},
	{"syscalls", "sys_enter_sendmsg", "enter_sendmsg"},
	{"syscalls", "sys_exit_read", "exit_read"},
	{"syscalls", "sys_exit_readv", "exit_readv"},
	{"syscalls", "sys_exit_recvfrom", "exit_recvfrom"},
	{"syscalls", "sys_exit_recvmsg", "exit_recvmsg"},
	{"syscalls", "sys_enter_mmap", "enter_mmap"},
	{"syscalls", "sys_exit_mmap", "exit_mmap"},
	{"sched", "sched_process_exec", "process_exec"},
	{"sched", "sched_process_exit", "process_exit"},
	{"", "inet_sock_set_state", "socket_state"},
	{"sock", "inet_sock_set_state", "socket_changed"},
	{"tcp", "tcp_rcv_space_adjust", "received"},
	{"syscalls", "sys_enter_close", "enter_close"},
}

// lossReasons name the counters of what was not told: enum loss of bpf/records.h.
var lossReasons = []string{"buffer_full", "memory_fault", "call_too_long", "notice_lost", "too_many_calls", "too_many_connections", "sent_from_file", "unknown_packet"}

// losses reads the counters.
func (k *kernel) losses() []Loss {
	list := make([]Loss, len(lossReasons))
	for i, reason := range lossReasons {
		var each []uint64
		list[i].Reason = reason
		if err := k.programs.Maps["losses"].Lookup(uint32(i), &each); err == nil {
			for _, n := range each {
				list[i].Count += n
			}
		}
	}
	return list
}
