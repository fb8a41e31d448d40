package keylogenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Status is how things stand.
type Status struct {
	On       bool // programs are told of the file
	Services bool // services too
	File     string
	DropIns  []string // that are there
	Keys     KeyFile
	Holders  []int // processes that have the variable
}

// Status looks, and changes nothing.
func (s *Setup) Status() (Status, error) {
	status := Status{File: s.cfg.File, Holders: holders(procFolder, s.cfg.File)}
	wanted, unwanted := s.dropIns()
	for _, d := range slices.Concat(wanted, unwanted) {
		switch text, err := d.read(); {
		case err != nil && !errors.Is(err, errForeign):
			return status, err
		case text != nil:
			status.DropIns = append(status.DropIns, d.path)
			status.On = true
			status.Services = status.Services || d.services
		}
	}
	var err error
	status.Keys, err = s.keyFile()
	return status, err
}

// KeyFile is how the key file stands.
type KeyFile struct {
	There      bool
	Size       int64
	Mounted    bool // it has a file system of its own, which bounds it
	AppendOnly bool // nobody but root can empty it
}

// keyFile looks at the key file.
func (s *Setup) keyFile() (k KeyFile, err error) {
	if k.Mounted, err = isMounted(s.path(s.folder())); err != nil {
		return k, err
	}
	f, err := os.OpenFile(s.path(s.cfg.File), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return k, nil
	}
	if err != nil {
		return k, fmt.Errorf("look at key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return k, fmt.Errorf("look at key file: %w", err)
	}
	k.There, k.Size = true, info.Size()
	k.AppendOnly = isAppendOnly(f)
	return k, nil
}
