package trust

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	securejoin "github.com/cyphar/filepath-securejoin"
)

// Machine is where stores are looked for. Files are read and written below Root; programs see that folder as their root.
type Machine struct {
	Root    string
	Homes   []Home
	Look    func(program string) (string, error)                                // finds a program, as exec.LookPath does
	Command func(ctx context.Context, program string, args ...string) *exec.Cmd // makes a command that runs below Root
	Self    string                                                              // this program, which asks Go's TLS in a process of its own
	Dry     bool                                                                // change nothing

	changes []string // of the store at hand
}

// Home is a user's folder.
type Home struct {
	Dir      string
	UID, GID int
}

// Local is this machine: all its users for root, or else the user who asks.
func Local() (*Machine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	m := &Machine{Root: "/", Look: lookLocal, Command: exec.CommandContext, Self: self}
	if os.Geteuid() != 0 {
		home, err := os.UserHomeDir()
		m.Homes = []Home{{home, os.Geteuid(), os.Getegid()}}
		return m, err
	}
	if m.Homes, err = readHomes("/etc/passwd"); err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return m, nil
}

// lookLocal finds programs for administrators too, which are not in everybody's path.
func lookLocal(program string) (string, error) {
	path, err := exec.LookPath(program)
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, program))
	}
	return path, err
}

// firstUser and lastUser are the numbers of people's accounts, as login.defs has them everywhere.
const firstUser, lastUser = 1000, 60000

// readHomes lists the folders of root and of people.
func readHomes(passwd string) (homes []Home, err error) {
	f, err := os.Open(passwd)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) != 7 {
			continue
		}
		uid, uidErr := strconv.Atoi(fields[2])
		gid, gidErr := strconv.Atoi(fields[3])
		if errors.Join(uidErr, gidErr) == nil && (uid == 0 || uid >= firstUser && uid <= lastUser) && filepath.IsAbs(fields[5]) {
			homes = append(homes, Home{fields[5], uid, gid})
		}
	}
	return homes, lines.Err()
}

// command makes a command that finds nothing of the folder from which this program was started: neither modules nor configuration.
func (m *Machine) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := m.Command(ctx, program, args...)
	cmd.Dir = "/"
	return cmd
}

// path is where a file below Root is for this process: no symbolic link leads out.
func (m *Machine) path(name string) string {
	path, err := securejoin.SecureJoin(m.Root, name)
	if err != nil { // a loop of links: what comes next finds that out too
		return filepath.Join(m.Root, name)
	}
	return path
}

func (m *Machine) exists(name string) bool {
	_, err := os.Stat(m.path(name))
	return err == nil
}

// glob lists what fits a pattern, as programs below Root see it.
func (m *Machine) glob(pattern string) (names []string) {
	found, _ := filepath.Glob(filepath.Join(m.Root, pattern)) // the patterns are ours, and valid
	for _, f := range found {
		names = append(names, m.below(f))
	}
	return names
}

// below is the other way round: how programs below Root call a file.
func (m *Machine) below(path string) string {
	return "/" + strings.TrimPrefix(strings.TrimPrefix(path, m.Root), "/")
}

// maxFile bounds what is read of a file: the largest bundles have half a megabyte.
const maxFile = 16 << 20

func (m *Machine) read(name string) ([]byte, error) {
	f, err := os.Open(m.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return b, err
}

// write replaces a file as a whole, or leaves it as it was.
func (m *Machine) write(name string, content []byte) error {
	if old, err := m.read(name); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if m.Dry {
		m.changes = append(m.changes, "write "+name)
		return nil
	}
	path := m.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return advise(err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".vitrine-*")
	if err != nil {
		return advise(err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", name, err)
	}
	m.changes = append(m.changes, "write "+name)
	return nil
}

// dangles tells whether a file is a link to one that is gone.
func (m *Machine) dangles(name string) bool {
	_, err := os.Lstat(filepath.Join(m.path(filepath.Dir(name)), filepath.Base(name)))
	return err == nil && !m.exists(name)
}

// remove takes a file away, and then the named folders as far as they are empty.
func (m *Machine) remove(name string, folders ...string) error {
	path := filepath.Join(m.path(filepath.Dir(name)), filepath.Base(name)) // the file itself, if it is a link
	if _, err := os.Lstat(path); err != nil {
		return nil
	}
	if m.Dry {
		m.changes = append(m.changes, "remove "+name)
		return nil
	}
	if err := os.Remove(path); err != nil {
		return advise(err)
	}
	m.changes = append(m.changes, "remove "+name)
	for _, f := range folders {
		_ = os.Remove(m.path(f)) // only an empty one goes
	}
	return nil
}

// advise adds what to do about a permission that is missing.
func advise(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: it belongs to the whole machine; run the command as root (sudo)", err)
	}
	return err
}

// act runs a program that changes something.
func (m *Machine) act(cmd *exec.Cmd, what string) error {
	if !m.Dry {
		if _, err := output(cmd); err != nil {
			return err
		}
	}
	m.changes = append(m.changes, "run "+what)
	return nil
}

// maxWords is how much of what a program says an error repeats, in bytes.
const maxWords = 300

// output runs a program to its end and returns its standard output. The error has what it says.
func output(cmd *exec.Cmd) ([]byte, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		words := strings.TrimSpace(errs.String() + " " + out.String())
		return out.Bytes(), fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, words[:min(len(words), maxWords)])
	}
	return out.Bytes(), nil
}

// as has a command run as the user whose files it changes: nothing in a user's folder can have it write elsewhere.
func (m *Machine) as(h Home, cmd *exec.Cmd) *exec.Cmd {
	if os.Geteuid() == 0 && h.UID != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(h.UID), Gid: uint32(h.GID)}}
		cmd.Env = append(cmd.Environ(), "HOME="+h.Dir)
	}
	return cmd
}
