package probe

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/cilium/ebpf"
)

// layout is struct layout of bpf/descriptors.h: where fields are in the records of a tracepoint.
type layout struct{ LocalPort, RemotePort, Local, Remote uint32 }

// maxOffset is how far into such a record the programs look.
const maxOffset = 0xff

// formatField is a line of a tracepoint's format: a tab, "field:__u8 saddr_v6[16];", a tab, "offset:30;", and more.
var formatField = regexp.MustCompile(`^\tfield:.*\b(\w+)(?:\[\d+\])?;\toffset:(\d+);`)

// describeReads tells the programs for kernels without type information how the tracepoint that names sockets is laid out.
func (k *kernel) describeReads() error {
	m := k.programs.Maps["layouts"]
	if m == nil {
		return nil
	}
	l, err := readLayout("tcp/tcp_rcv_space_adjust")
	if err != nil {
		return err
	}
	return m.Update(uint32(0), &l, ebpf.UpdateAny)
}

// readLayout reads what tracefs says of a tracepoint.
func readLayout(tracepoint string) (l layout, err error) {
	var f *os.File
	for _, dir := range tracingDirs {
		if f, err = os.Open(filepath.Join(dir, "events", tracepoint, "format")); err == nil {
			break
		}
	}
	if err != nil {
		return l, fmt.Errorf("read layout of tracepoint: %w", err)
	}
	defer f.Close()
	wanted := map[string]*uint32{"sport": &l.LocalPort, "dport": &l.RemotePort, "saddr_v6": &l.Local, "daddr_v6": &l.Remote}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		m := formatField.FindStringSubmatch(lines.Text())
		if m == nil || wanted[m[1]] == nil {
			continue
		}
		offset, err := strconv.ParseUint(m[2], 10, 32)
		if err != nil || offset > maxOffset {
			return l, fmt.Errorf("read layout of tracepoint %s: %s is at %s", tracepoint, m[1], m[2])
		}
		*wanted[m[1]] = uint32(offset)
		delete(wanted, m[1])
	}
	if len(wanted) > 0 {
		return l, fmt.Errorf("read layout of tracepoint %s: the kernel describes it in another way", tracepoint)
	}
	return l, nil
}
