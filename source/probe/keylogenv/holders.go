package keylogenv

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

const procFolder = "/proc"

// maxEnvironment bounds what is read of one process's environment: the kernel allows far less unless told otherwise.
const maxEnvironment = 8 << 20

// holders returns the processes that were started with the variable set to the file, this one excepted. Those that it may not
// look into are not among them; root may look into all.
func holders(proc, file string) []int {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	wanted := []byte("\x00" + variable + "=" + file + "\x00")
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		f, err := os.Open(filepath.Join(proc, e.Name(), "environ"))
		if err != nil {
			continue // ended, or not ours to look into
		}
		environment, err := io.ReadAll(io.LimitReader(f, maxEnvironment))
		f.Close()
		if err == nil && bytes.Contains(append([]byte{0}, environment...), wanted) {
			pids = append(pids, pid)
		}
	}
	return pids
}
