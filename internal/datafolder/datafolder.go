// Package datafolder is the folder that a running Vitrine keeps everything in, and has to itself. A path goes in; it knows nothing of
// what is in the folder.
package datafolder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Default is where an installed Vitrine keeps its data.
const Default = "/var/lib/vitrine"

// Folder is the folder that everything is kept in, for as long as it is ours.
type Folder struct {
	lock *os.File // holds the number of the process that has it
	// Crashed says that the process which had the folder before was killed: its children may still be ending.
	Crashed bool
}

// Open makes the folder if it is missing, private to its owner, and keeps other instances out until Close.
func Open(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w; choose another one with --data", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write to data folder: %w; choose another one with --data", err)
	}
	d := &Folder{lock: lock}
	if err := d.take(dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

// take locks the folder and leaves this process's number there, for whoever is refused.
func (d *Folder) take(dir string) error {
	owner := make([]byte, 20)
	n, _ := d.lock.ReadAt(owner, 0)
	if err := unix.Flock(int(d.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("another vitrine (process %s) is using %s: stop it, or choose another folder with --data", owner[:n], dir)
	} else if err != nil {
		return fmt.Errorf("lock data folder: %w", err)
	}
	d.Crashed = n > 0
	if err := d.lock.Truncate(0); err != nil {
		return fmt.Errorf("write to data folder: %w", err)
	}
	if _, err := d.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return fmt.Errorf("write to data folder: %w", err)
	}
	return nil
}

// Close gives the folder up in good order.
func (d *Folder) Close() error { return errors.Join(d.lock.Truncate(0), d.lock.Close()) }

// Candidates are where a running vitrine up may have its data: in the folder that VITRINE_DATA names, or where make run and an
// installation have it.
func Candidates() []string {
	if named := os.Getenv("VITRINE_DATA"); named != "" {
		return []string{named}
	}
	return []string{"data", Default}
}
