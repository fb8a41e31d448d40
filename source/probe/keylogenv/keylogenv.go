// Package keylogenv makes the programs of this machine write their TLS session keys where the sensor finds them, for hosts on
// which eBPF cannot be used: managed drop-ins set SSLKEYLOGFILE for those who honour it. What is to be done comes in; files of
// the system change, and what changed goes out. It knows nothing of what reads the keys.
//
// Some programs fail if they cannot append to the file that the variable names: Python raises an error for each new context.
// So the file must be there before the variable is, and something that can be written must stay in its place for as long as
// any process has the variable.
package keylogenv

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// DefaultFile is the key file. It lies in memory, and is gone at the next boot.
const DefaultFile = "/run/vitrine-keylog/programs.log"

// Config says what is set up, and where.
type Config struct {
	// Root stands before all paths: empty for this machine, or a folder that is laid out like one.
	Root string
	// File is the key file; empty stands for the one that is set up, or else for DefaultFile. Its folder is ours alone.
	File string
	// Services has the system's services write their keys too, not only the programs of login shells and of user sessions.
	Services bool
}

// Setup is the key-log mode of one machine.
type Setup struct {
	cfg Config
}

// New checks the configuration and touches nothing.
func New(cfg Config) (*Setup, error) {
	s := &Setup{cfg: cfg}
	installed, err := s.installedFile()
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.File == "" && installed != "":
		s.cfg.File = installed
	case cfg.File == "":
		s.cfg.File = DefaultFile
	case installed != "" && installed != cfg.File:
		return nil, fmt.Errorf("the key-log mode is on with %s already: switch it off first", installed)
	}
	return s, checkPath(s.cfg.File)
}

// File returns the path of the key file.
func (s *Setup) File() string { return s.cfg.File }

// folder returns the path of the key file's folder.
func (s *Setup) folder() string { return filepath.Dir(s.cfg.File) }

// path returns where on this machine a path of the set-up is.
func (s *Setup) path(name string) string { return filepath.Join("/", s.cfg.Root, name) }

// On sets the mode up, or to rights, and returns what it changed. The key file comes first: nobody is told of a file that is not there.
func (s *Setup) On() (changes []string, err error) {
	if s.cfg.Services && !s.hasSystemd() {
		return nil, errors.New("services are told of the key file by systemd, which is not here")
	}
	wanted, unwanted := s.dropIns()
	for _, d := range wanted {
		if _, err := d.read(); err != nil {
			return nil, err
		}
	}
	installed, err := s.installedFile()
	if err != nil {
		return nil, err
	}
	if changes, err = s.openKeyFile(installed != ""); err != nil {
		return changes, err
	}
	for _, d := range wanted {
		changed, err := d.write()
		if err != nil {
			return changes, err
		}
		if changed {
			changes = append(changes, "wrote "+d.path)
		}
	}
	more, err := remove(unwanted)
	return append(changes, more...), err
}

// Off removes what On has made, and returns what it changed. While processes still have the variable, a link to /dev/null
// stays where the key file was; calling Off again later removes it too.
func (s *Setup) Off() (changes []string, err error) {
	installed, err := s.installedFile()
	if err != nil {
		return nil, err
	}
	wanted, unwanted := s.dropIns()
	if changes, err = remove(slices.Concat(wanted, unwanted)); err != nil {
		return changes, err
	}
	more, err := s.closeKeyFile(installed != "")
	return append(changes, more...), err
}

// remove removes those drop-ins that are there, in the opposite order, so that folders are empty when their turn comes.
func remove(all []dropIn) (changes []string, err error) {
	var errs []error
	for _, d := range slices.Backward(all) {
		changed, err := d.remove()
		if changed {
			changes = append(changes, "removed "+d.path)
		}
		errs = append(errs, err)
	}
	return changes, errors.Join(errs...)
}
